"""The tables of the code in, the tables of the language reference out; each has a name that a page's marker calls."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import dsd_lang
from dsd_lang.base.arguments import ARGUMENTS, Argument, Option
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.layers import KINDS, PARTS, ROLES
from dsd_runtime.engine.support import unsupported

GROUPS: dict[str, tuple[str, ...]] = {
    "arguments-rate": ("lr", "decay", "floor", "warmup", "clock"),
    "arguments-pruning": (
        *("layers", "except", "by", "scope", "alloc", "unit", "of", "ramp", "every", "min", "others"),
        *("update", "enforce"),
    ),
    "arguments-weights": ("restore", "from", "state", "distill", "calibrate"),
    "arguments-overrides": ("opt", "wd", "l1", "clip", "batch", "dropout"),
    "arguments-settings": ("model", "data", "seed", "precision", "noise"),
    "arguments-blocks": ("scale", "seeds", "rng", "on", "test", "at"),
}
VALUES: dict[str, str] = {
    "lr": "a number above 0, or arithmetic on `prev`, `last`, `base`",
    "number": "a number",
    "positive": "a number above 0",
    "ratio": "a share",
    "whole": "a whole number",
    "length": "a length",
    "selectors": "selectors",
    "choice": "",
    "function": "",
    "decay": "",
    "source": "`@ref`",
    "distill": "`@ref(alpha=, T=)`",
    "clip": "a number",
    "text": "a string",
    "metric": "a metric",
    "scale": "a number above 0",
}
SAMPLES = {"distill": "@t.end", "calibrate": "10it"}
ARGUMENTS_OF_FUNCTIONS = {("update", "set"): "set(drop=30%)"}
_KINDS = {
    "conv": "convolutions, of any dimension",
    "fc": "linear layers",
    "rnn": "plain recurrent layers",
    "lstm": "LSTM layers",
    "gru": "GRU layers",
    "birnn": "recurrent layers of any kind that run in both directions",
    "embed": "embeddings",
    "norm": "batch, layer and group norms",
    "attention": "attention layers",
}
_ROLES = {
    "first_conv": "the first convolution",
    "output": "the last linear layer",
    "ctc": "the projection into a CTC alphabet",
    "prunable": "matrices of `conv`, `fc` and recurrent layers; not a first convolution that comes first",
    "all": "every layer that has a matrix",
}
_PARTS = {"ih": "input-to-hidden matrices, as in `lstm.ih`", "hh": "hidden-to-hidden matrices, as in `birnn.hh`"}


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in (headers, *rows)]
    return "".join([lines[0], "|---" * len(headers) + "|\n", *lines[1:]])


def arguments_table(names: Sequence[str]) -> str:
    """Name, default, values, meaning and places of some arguments, from the one table of them."""
    known = {argument.name: argument for argument in ARGUMENTS}
    return table(
        ("argument", "default", "values", "meaning", "stands on"),
        ([f"`{name}=`", _default(known[name]), *_values_and_meaning(known[name])] for name in names),
    )


def codes_table() -> str:
    """Every code with its name and severity."""
    rows = ((entry.code, entry.name, severity_text(entry.code)) for entry in CATALOGUE.values())
    return table(("code", "name", "severity"), rows)


def settings_of_phases() -> str:
    """The arguments of phases that may stand on `set` too, on one line."""
    own = GROUPS["arguments-settings"]
    names = [argument.name for argument in ARGUMENTS if "set" in argument.places and argument.name not in own]
    return f"{' '.join(f'`{name}`' for name in names)}\n"


def selectors_table() -> str:
    """Every bare word that selects layers."""
    rows = [(f"`{word}`", "kind", _KINDS[word]) for word in KINDS]
    rows += [(f"`{word}`", "role", _ROLES[word]) for word in ROLES]
    rows += [(f"`.{part}`", "part", _PARTS[part]) for part in PARTS]
    return table(("word", "", "selects"), rows)


def severity_text(code: str) -> str:
    """`error`, `advice, off by default`."""
    entry = CATALOGUE[code]
    return entry.severity if entry.default else f"{entry.severity}, off by default"


def _default(argument: Argument) -> str:
    is_word = re.fullmatch(r"[\w./-]+", argument.default) and argument.default not in ("inherited", "required")
    return f"`{argument.default}`" if is_word else argument.default


def _values_and_meaning(argument: Argument) -> tuple[str, str, str]:
    runs = [option for option in argument.options if not is_refused(argument, option)]
    refused = [option for option in argument.options if is_refused(argument, option)]
    values = [_option(option) for option in runs]
    if VALUES[argument.kind]:
        values.append(VALUES[argument.kind])
    text = ", ".join(values)
    if refused:
        text += f"; *refused:* {', '.join(_option(option) for option in refused)}"
    if argument.name in SAMPLES and _is_refused_text(argument, SAMPLES[argument.name]):
        text += "; *refused* but for the default"
    return text, argument.meaning, ", ".join(argument.places)


def _option(option: Option) -> str:
    if not option.parameters:
        return f"`{option.name}`"
    given = ", ".join("x" if name.isdigit() else f"{name}=" for name in option.parameters)
    return f"`{option.name}({given})`"


def is_refused(argument: Argument, option: Option) -> bool:
    """Whether this version stops at that value; asked of the runtime, not written down here."""
    if option.tier == "C" or option.name == argument.default:
        return False
    return _is_refused_text(argument, ARGUMENTS_OF_FUNCTIONS.get((argument.name, option.name), option.name))


def _is_refused_text(argument: Argument, value: str) -> bool:
    if argument.places == ("set",):
        text = f"set {argument.name}={value}; dense 1ep lr=1"
    else:
        text = f"t: dense 1ep lr=1; sparse 50% 1ep {argument.name}={value}"
    try:
        plan = dsd_lang.compile(text)
    except dsd_lang.ScheduleError:
        return False  # stands in another place (`compare`), or needs parameters that every version runs
    return bool(unsupported(plan))


TABLES: dict[str, Callable[[], str]] = {
    **{name: (lambda names=names: arguments_table(names)) for name, names in GROUPS.items()},  # type: ignore[misc]
    "codes": codes_table,
    "settings-of-phases": settings_of_phases,
    "selectors": selectors_table,
}
