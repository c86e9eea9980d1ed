"""A source of random numbers in, programs out: every statement and argument, written in every odd way there is.

A program is first a list of tokens (``;`` between statements), then :func:`laid_out` writes them with blanks, tabs,
line ends and comments wherever the language lets them stand. Most programs compile; the rest have mistakes that a
parser lets pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from dsd_lang.base.arguments import ARGUMENTS, Argument, allowed_at
from dsd_lang.base.layers import KINDS, ROLES

END = ";"
FREE_NEWLINE_AFTER = frozenset({",", "->", "(", "[", "{"})


class Programs:
    """Random programs; ``is_sound`` leaves out what only a parser lets pass."""

    def __init__(self, random: Random, *, is_sound: bool = True) -> None:
        self.random = random
        self.is_sound = is_sound
        self.num_labels = 0
        self.names: list[str] = []
        self.is_first = True  # the first phase is still to come

    def program(self) -> list[str]:
        """The tokens of a whole program."""
        tokens: list[str] = []
        if self.chance(0.3):
            tokens += ["set", *self.arguments("set", 3), END]
        tokens += [*self.label(), "dense", "50ep", *self.phase_arguments("dense"), "lr", "=", "0.1", END]
        self.is_first = False
        for _ in range(self.random.randint(0, 4)):
            tokens += [*self.statement(depth=0), END]
        return tokens

    # --- statements ---------------------------------------------------------------------------------------------------

    def statement(self, depth: int) -> list[str]:
        kinds: list[Callable[[int], list[str]]] = [self.phase, self.phase, self.pair, self.tail]
        if depth < 3:
            kinds += [self.repeat_block, self.for_block, self.sweep, self.fork]
        if depth == 0:
            kinds += [self.compared_fork]
        return self.random.choice(kinds)(depth)

    def body(self, depth: int) -> list[str]:
        tokens = ["{"]
        for index in range(self.random.randint(1, 3)):
            tokens += [*([END] if index else []), *self.statement(depth + 1)]
        return [*tokens, *([END] if self.chance(0.5) else []), "}"]

    def phase(self, depth: int) -> list[str]:
        word = self.random.choice(("dense", "sparse"))
        return [*self.label(), *self.bare_phase(word)]

    def pair(self, depth: int) -> list[str]:
        return [*self.label(), *self.bare_phase("sparse"), END, *self.label(), *self.bare_phase("dense")]

    def bare_phase(self, word: str) -> list[str]:
        groups = [*self.argument_groups(word, 4)]
        if self.chance(0.7):
            groups.append([self.length()])
        if word == "sparse":
            target = self.target()
            groups.append(target)
            if "->" in target:
                groups = [group for group in groups if group[:1] != ["every"]]
                groups = [*groups, ["every", "=", "10it"]]
            else:
                groups = [group for group in groups if group[:1] not in (["every"], ["ramp"])]
            if self.is_sound and not target[0].endswith("%"):
                groups = [group for group in groups if group[0] != "of"]
        self.random.shuffle(groups)
        groups.sort(key=lambda group: group[0] != "(")  # after a word it would be a call
        until = ["until", *self.condition()] if self.chance(0.2) else []
        return [word, *(token for group in groups for token in group), *until]

    def tail(self, depth: int) -> list[str]:
        tokens = [*self.bare_phase("sparse"), END, *self.bare_phase("dense"), END, "repeat"]
        if self.chance(0.5):
            tokens.append(self.random.choice(("1", "2", "3")))
        if self.chance(0.2):
            tokens += ["until", *self.condition()]
        scale_first, scale_last = self.chance(0.2), self.chance(0.3)
        tokens += ["scale", "=", "0.5"] if scale_first else []
        tokens += ["until", *self.condition()] if scale_first and "until" not in tokens and self.chance(0.3) else []
        has_phase = False
        if self.chance(0.6):
            tokens, has_phase = tokens + self.without_until(self.bare_phase("sparse")), True
        if self.chance(0.6):
            tokens, has_phase = [*tokens, "then", *self.without_until(self.bare_phase("dense"))], True
        if scale_last and not scale_first:
            tokens += ["scale", "=", ".25"]
            tokens += ["until", *self.condition()] if has_phase and self.chance(0.3) and "until" not in tokens else []
        return tokens

    def without_until(self, tokens: list[str]) -> list[str]:
        return tokens[: tokens.index("until")] if "until" in tokens else tokens

    def repeat_block(self, depth: int) -> list[str]:
        tokens = ["repeat", self.random.choice(("1", "2", "3", "2 + 1"))]
        name = self.new_name() if self.chance(0.5) else None
        tokens += ["as", name] if name else []
        tokens += ["until", *self.condition()] if self.chance(0.3) else []
        return [*" ".join(tokens).split(), *self.scoped(name, depth)]

    def for_block(self, depth: int) -> list[str]:
        name = self.new_name()
        values = self.joined([self.small() for _ in range(self.random.choice((1, 2, 3, 40)))])
        return ["for", name, "in", *values, *self.scoped(name, min(depth + 2, 3) if len(values) > 9 else depth)]

    def sweep(self, depth: int) -> list[str]:
        first = self.new_name()
        tokens = ["sweep", first, "in", *self.joined([self.ratio() for _ in range(self.random.randint(1, 4))])]
        if self.chance(0.3):
            second = self.new_name()
            tokens += [",", second, "in", *self.joined(["0", "1e-4"])]
        return [*tokens, *self.scoped(first, depth)]

    def scoped(self, name: str | None, depth: int) -> list[str]:
        """A body in which a variable may be used."""
        self.names += [name] if name else []
        tokens = self.body(depth)
        if name:
            self.names.remove(name)
        return tokens

    def fork(self, depth: int) -> list[str]:
        return ["fork", *self.arguments("fork", 2), *self.branches(depth, [self.new_label(), self.new_label()])]

    def compared_fork(self, depth: int) -> list[str]:
        left, right = self.new_label(), self.new_label()
        tokens = ["fork", *self.arguments("fork", 2), *self.branches(depth, [left, right]), END]
        tokens += ["compare", left, "vs", right, *self.compare_arguments()]
        if self.chance(0.5):
            bound = ["-", "0.1"] if self.chance(0.5) else ["+", "2", "*", "0.1"]
            tokens += [END, "expect", f"{left}.test.err", "<", f"{right}.test.err", *bound]
        return tokens

    def branches(self, depth: int, labels: list[str]) -> list[str]:
        tokens = ["{"]
        for index, label in enumerate(labels):
            tokens += [END] if index else []
            inside = self.body(depth) if self.chance(0.7) else self.bare_phase("dense")
            tokens += [label, ":", *inside]
        return [*tokens, "}"]

    # --- arguments ----------------------------------------------------------------------------------------------------

    def phase_arguments(self, word: str) -> list[str]:
        return [token for group in self.argument_groups(word, 3) if group[0] != "lr" for token in group]

    def arguments(self, place: str, most: int) -> list[str]:
        groups = self.argument_groups(place, most)
        if place == "set" and not groups:
            groups = [["lr", "=", "0.1"]]
        return [token for group in groups for token in group]

    def compare_arguments(self) -> list[str]:
        groups = [["on", "=", "test.err"], *self.argument_groups("compare", 2)]
        kept = {group[0]: group for group in groups if group[0] != "on" or group == groups[0]}
        shuffled = list(kept.values())
        self.random.shuffle(shuffled)
        return [token for group in shuffled for token in group]

    def argument_groups(self, place: str, most: int) -> list[list[str]]:
        names = allowed_at(place)  # type: ignore[arg-type]
        chosen = self.random.sample(names, min(len(names), self.random.randint(0, most)))
        if self.is_sound:
            chosen = [name for name in chosen if name != "floor"]
        rows = {row.name: row for row in ARGUMENTS}
        return [[name, "=", *self.value(rows[name])] for name in chosen]

    def value(self, row: Argument) -> list[str]:
        if row.kind == "selectors":
            return self.joined([self.selector() for _ in range(self.random.randint(1, 4))])
        if row.kind in ("choice", "function", "decay", "source", "clip"):
            return self.option(row)
        if row.kind == "distill":
            teacher = self.random.choice(["@init", "'t.safetensors'", '"a teacher"'])
            options = self.random.choice(["", "( alpha = 0.8 , T = 10 )", "( T = 4 , alpha = 1 )"])
            return [teacher, *tokens_of(options)]
        if row.kind == "lr":
            return self.rate()
        simple = {
            "number": "1e-4", "positive": "3", "ratio": "0.5", "whole": "4", "length": "20it", "text": "'ds1'",
            "metric": "test.err", "scale": "0.5",
        }  # fmt: skip
        return [simple[row.kind]]

    def option(self, row: Argument) -> list[str]:
        special = {
            "decay": ["step(33%, 66%, by = 0.1)", "exp(0.95)", "cosine", "linear(floor=1e-5)"],
            "opt": ["sgd(momentum=0.9, nesterov=on)", "adam", "adamw(beta1=.9 , beta2=0.999,)"],
            "by": ["magnitude(order=largest)", "random", "magnitude"],
            "clip": ["norm(5)", "100", "value(1)", "none"],
            "from": ["@init", "random", "'old.safetensors'", "last"],
            "clock": ["global", "phase"],
            "noise": ["symmetric(20%)", "none"],
            "update": ["set(drop=30%, every=100it)", "none"],
            "unit": ["block(4,1)", "filter", "weight"],
        }
        if row.name == "decay" and self.is_sound:
            return tokens_of(self.random.choice(special["decay"]))
        words = special.get(row.name) or [option.name for option in row.options]
        return tokens_of(self.random.choice(words))

    def rate(self) -> list[str]:
        forms = ["3e-4", "0.1", "1e-3 * 2", "( 1e-3 + 2e-3 ) / 2", "2 ^ 2 * .001"]
        forms += [] if self.is_first else ["prev / 10", "last", "base * 0.5", "( prev + base ) / 2"]
        return tokens_of(self.random.choice(forms if self.is_sound else [*forms, "- 1", "- - 2 / x"]))

    # --- small things -------------------------------------------------------------------------------------------------

    def target(self) -> list[str]:
        forms = ["50%", "0.5", ".25", "2 : 4", "0 -> 90%", "0.1 -> .8", "held", "( 0.5 )", "30% / 2", "1 - 0.5",
                 "[ conv : 30% , fc : 0.5 ]", "[ 'head*' : 2 : 4 , /body.\\d+/ : 10% , ]",
                 "[ all : 0 -> .9 ]"]  # fmt: skip
        forms += [name for name in self.names if name.startswith("s")]
        forms += [f"0.5 / {name}" for name in self.names]
        return tokens_of(self.random.choice(forms if self.is_sound else [*forms, "1.5", "- 3", "nobody"]))

    def length(self) -> str:
        return self.random.choice(("50ep", "1.25ep", "500it", "0ep", "2_000it"))

    def condition(self) -> list[str]:
        forms = ["plateau ( val.loss , patience = 3 , delta = 1e-3 )", "val.wer < 10%", "val.err <= 5 + 1 - 2",
                 "not val.err > 2 and ( train.loss < 1 or val.loss < 0.5 )", "drop ( val.acc ) > 2%"]  # fmt: skip
        return tokens_of(self.random.choice(forms))

    def selector(self) -> str:
        return self.random.choice((*KINDS, *ROLES, "birnn.hh", '"layer*"', "'a b'", "/layer[0-4]/", '"it\'s"'))

    def ratio(self) -> str:
        return self.random.choice(("25%", "0.5", "80%", ".9"))

    def small(self) -> str:
        return self.random.choice(("1", "2", "4", "0.5"))

    def label(self) -> list[str]:
        return [self.new_label(), ":"] if self.chance(0.3) else []

    def new_label(self) -> str:
        self.num_labels += 1
        return f"{self.random.choice(('D', 'S', 'phase_', 'prüfung'))}{self.num_labels}"

    def new_name(self) -> str:
        self.num_labels += 1
        return f"{self.random.choice('si')}{self.num_labels}"

    def joined(self, words: list[str]) -> list[str]:
        return [token for index, word in enumerate(words) for token in ((",", word) if index else (word,))]

    def chance(self, share: float) -> bool:
        return self.random.random() < share


def tokens_of(text: str) -> list[str]:
    """A form written by hand as tokens: cut at blanks, and around brackets, commas, colons and `=`."""
    if text.startswith(("'", '"')):
        return [text]
    return re.sub(r"(?<![<>!=])=|[()\[\],]", r" \g<0> ", text).split()


# --- layout -----------------------------------------------------------------------------------------------------------

COMMENTS = (
    "# why",
    "#",
    "#no blank",
    "# tabs\tin  it   ",
    "# ünïcode \U0001f600",
    "# dsd: ignore[DSD303] wanted",
    "## a # b",
)


def laid_out(tokens: list[str], random: Random) -> str:
    """The tokens as text."""
    newline = random.choice(("\n", "\n", "\r\n", "\r"))
    is_wild = random.random() < 0.7
    pieces: list[str] = [newline, "# head", newline] if random.random() < 0.2 else []
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token[-1] in "([") - (token in ")]")
        if token == END:
            pieces.append(_separator(random, newline, is_wild))
            continue
        pieces.append(token)
        following = tokens[index + 1] if index + 1 < len(tokens) else END
        if following in (":", "=") or (token, following) == (
            "set",
            "(",
        ):  # these stay on one line with what they follow
            pieces.append(random.choice(("", " ", "\t")))
        elif following != END:
            may_break = (depth > 0 or token in FREE_NEWLINE_AFTER) and token != ":"
            pieces.append(_gap(random, newline, may_break=may_break, is_wild=is_wild))
    return "".join(pieces)


def _gap(random: Random, newline: str, *, may_break: bool, is_wild: bool) -> str:
    blank = random.choice((" ", " ", "  ", "\t"))
    if not is_wild or random.random() > 0.12:
        return blank
    comment = f" {random.choice(COMMENTS)}" if random.random() < 0.5 else ""
    if may_break:
        own_line = f"{newline}  {random.choice(COMMENTS)}" if random.random() < 0.3 else ""
        return f"{blank}{comment}{own_line}{newline}{random.choice(('', '    ', newline))}"
    return f" \\{comment}{newline}\t"


def _separator(random: Random, newline: str, is_wild: bool) -> str:
    if random.random() < 0.3:
        return random.choice((";", "; ", " ;", ";;"))
    comment = f" {random.choice(COMMENTS)}" if is_wild and random.random() < 0.3 else ""
    alone = f"{newline}   {random.choice(COMMENTS)}" if is_wild and random.random() < 0.2 else ""
    blank = newline if random.random() < 0.2 else ""
    return f"{comment}{newline}{blank}{alone.removeprefix(newline)}{newline if alone else ''}"
