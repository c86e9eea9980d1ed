"""One sentence for each word of the language, for hovers and completion items.

Arguments have their meaning in `dsd_lang.base.arguments` and diagnostics in their pages. This module has the rest.
"""

from __future__ import annotations

from dsd_lang.base.layers import KINDS, PARTS, ROLES

KEYWORDS = {
    "dense": ("[label:] dense ARGUMENT*", "a phase without masks: every weight trains"),
    "sparse": ("[label:] sparse TARGET ARGUMENT*", "a phase with masks: the target is the share pruned"),
    "set": ("set NAME=VALUE ...", "a setting of the whole program"),
    "repeat": (
        "repeat [N] [sparse ...] [then dense ...]",
        "the last sparse...dense pair again, every lr times `scale=` (0.1) a cycle; `repeat N { ... }` is a plain loop",
    ),
    "for": ("for NAME in VALUE, ... { ... }", "the block once for each value, one after the other"),
    "sweep": ("sweep NAME in VALUE, ... { ... }", "a branch for each value, all from the same state"),
    "fork": (
        "fork [seeds=N] { a: {...}  b: PHASE }",
        "branches from the current state; the main line continues from it too",
    ),
    "compare": ("compare A vs B on=METRIC", "two branches compared by a t-test on a metric"),
    "expect": ("expect CONDITION", "a claim that is checked at the end of the run"),
    "let": ("let NAME = VALUE", "a name for a value, from here to the end of the block; `--set NAME=VALUE` changes it"),
    "def": ("def NAME(PARAMETER, PARAMETER=VALUE) { ... }", "statements with a name, called as `NAME(VALUE)`"),
    "use": ('use "FILE.dsd"', "brings the `def`s and `let`s of another file; its phases are not run"),
    "within": ("within LENGTH { ... }", "a block whose lengths are shares of the whole; one may be left out: the rest"),
    "by": ("10%..90% by 10%", "the step of a range"),
    "until": ("until CONDITION", "stops early; the length given is the bound"),
    "held": (
        "sparse held",
        "a target: the masks stay as they are, or, with `masks=current`, are the zeros of the weights",
    ),
    "as": ("repeat N as NAME { ... }", "the name of the round, counted from 0"),
    "in": ("for NAME in VALUE, ...", "the values a name takes"),
    "vs": ("compare A vs B", "separates the branches to compare"),
    "then": ("repeat sparse ... then dense ...", "what follows overrides the dense phase of the copy"),
    "and": ("CONDITION and CONDITION", "both hold"),
    "or": ("CONDITION or CONDITION", "one of them holds"),
    "not": ("not CONDITION", "it does not hold"),
}
MOMENT_MEANINGS = {
    "start": "the weights before the phase's entry",
    "entered": "the weights after the entry: masked, restored, not yet trained",
    "end": "the weights at the phase's end",
    "best": "the weights at its best evaluation",
}
LATER = "the weights after that much of the phase"
INIT = "the run's first weights"
RATE_MEANINGS = {
    "prev": "the previous phase's learning rate at its start",
    "last": "the previous phase's final learning rate",
    "base": "the first phase's learning rate",
}


def selector_meaning(word: str) -> str | None:
    """What a word selects, including its part; None for an unknown word."""
    name, _, part = word.partition(".")
    meaning = KINDS.get(name) or ROLES.get(name)
    if meaning is None or (part and part not in PARTS):
        return None
    return f"{meaning}; {PARTS[part]}" if part else meaning
