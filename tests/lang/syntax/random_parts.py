"""Random programs with the statements of version 1.1: names, parts and calls, ranges, rows, named arms, `within`.

They are those of :mod:`random_programs`, in whose phases a name may stand for a value, with the new statements between.
"""

from __future__ import annotations

from random import Random

from random_programs import END, Programs, tokens_of

COMMON = """\
# shared by the random programs
let shared_s = 50%
let shared_k = conv, fc
def shared(s, n=5ep) {
  sparse s n
  dense n lr=prev
}
"""
FILES = {"common.dsd": COMMON}
Parameters = list[tuple[str, str, bool]]  # name, kind of value, and whether it has a default
_PREFIXES = {"share": "s", "length": "n", "selectors": "k", "rate": "r", "target": "t"}


class ProgramsOfParts(Programs):
    """Random programs of version 1.1; with ``uses`` they use :data:`FILES`."""

    def __init__(self, random: Random, *, is_sound: bool = True, uses: bool = False) -> None:
        super().__init__(random, is_sound=is_sound)
        self.uses = uses
        self.bound: dict[str, list[str]] = {kind: [] for kind in _PREFIXES}
        self.definitions: list[tuple[str, Parameters]] = []
        self.parts: list[str] = []  # definitions of one share, whose phases take a whole `within`

    def program(self) -> list[str]:
        tokens: list[str] = []
        if self.uses:
            tokens += ["use", self.random.choice(('"common.dsd"', "'common.dsd'")), END]
            self.bound["share"].append("shared_s")
            self.bound["selectors"].append("shared_k")
            self.definitions.append(("shared", [("s", "share", False), ("n", "length", True)]))
        for _ in range(self.random.randint(0, 3)):
            tokens += [*self.let(0), END]
        for _ in range(self.random.randint(0, 2)):
            tokens += [*(self.part() if self.chance(0.3) else self.definition()), END]
        return [*tokens, *super().program()]

    # --- statements ---------------------------------------------------------------------------------------------------

    def statement(self, depth: int) -> list[str]:
        if self.chance(0.5):
            return super().statement(depth)
        kinds = [self.let, self.within]
        kinds += [self.call, self.call] if self.definitions else []
        kinds += [self.for_range, self.for_rows, self.for_selectors, self.labelled_sweep] if depth < 3 else []
        kinds += [self.compared_sweep] if depth == 0 else []
        return self.random.choice(kinds)(depth)

    def body(self, depth: int) -> list[str]:
        """A block, at whose end the names bound in it end."""
        outside = {kind: list(names) for kind, names in self.bound.items()}
        tokens = super().body(depth)
        if tokens[1] == "let":  # a block has a phase
            tokens = [*tokens[:-1], END, "dense", "1ep", "}"]
        self.bound = outside
        return tokens

    def let(self, depth: int) -> list[str]:
        kind = self.random.choice(list(_PREFIXES))
        value = self.bindable(kind)
        return ["let", self.bind(kind), "=", *value]

    def definition(self) -> list[str]:
        name = self.number("d")
        outside = {kind: list(names) for kind, names in self.bound.items()}
        parameters: Parameters = []
        tokens = ["def", f"{name} ("]
        kinds = self.random.sample(list(_PREFIXES), self.random.randint(0, 3))
        for index, kind in enumerate(kinds):
            has_default = self.chance(0.4) or any(has_default for _, _, has_default in parameters)
            default = ["=", *self.one(kind)] if has_default else []
            parameters.append((self.number(_PREFIXES[kind]), kind, has_default))
            tokens += [*([","] if index else []), parameters[-1][0], *default]
        for parameter, kind, _ in parameters:
            self.bound[kind].append(parameter)
        tokens += [*([","] if parameters and self.chance(0.1) else []), ")", *self.body(2)]
        self.bound = outside
        self.definitions.append((name, parameters))
        return tokens

    def part(self) -> list[str]:
        """A `def` of shares, called in a `within`."""
        name, share = self.number("part"), self.number("s")
        self.parts.append(name)
        return ["def", f"{name} (", share, ")", "{", "sparse", share, *self.plain(), "60%", END, "dense", "40%", "}"]

    def call(self, depth: int) -> list[str]:
        name, parameters = self.random.choice(self.definitions)
        tokens = [*self.label(), f"{name} ("]
        is_named = False
        given: list[list[str]] = []
        for parameter, kind, has_default in parameters:
            is_left_out = has_default and self.chance(0.4)
            is_named = is_named or is_left_out or self.chance(0.3)
            if not is_left_out:
                given.append([*([parameter, "="] if is_named else []), *self.one(kind)])
        for index, one in enumerate(given):
            tokens += [*([","] if index else []), *one]
        return [*tokens, *([","] if given and self.chance(0.1) else []), ")"]

    def within(self, depth: int) -> list[str]:
        tokens = [*self.label(), "within", self.random.choice(("100ep", "2_000it", "12.5ep")), "{"]
        if self.parts and self.chance(0.4):
            return [*tokens, f"{self.random.choice(self.parts)} (", *self.one("share"), ")", "}"]
        target = ["0", "->", "90%", "every", "=", "10it"] if self.chance(0.3) else self.one("share")
        phases = [["dense", *self.plain(), "10%"], ["sparse", *target, *self.plain(), "45%"]]
        phases += [["repeat", "2", "{", "sparse", "held", "5%", *self.plain(), "}"]] if self.chance(0.3) else []
        phases += [["sparse", "held", *self.plain(), "12.5%"]] if self.chance(0.5) else []
        phases += [["dense", *self.plain()]]
        for index, phase in enumerate(phases):
            tokens += [*([END] if index else []), *phase]
        return [*tokens, "}"]

    # --- loops and sweeps ---------------------------------------------------------------------------------------------

    def for_range(self, depth: int) -> list[str]:
        forms = {
            "share": ("10% .. 90% by 20%", "5% .. 5% by 1%", "90% .. 10% by - 40% , 5%", "0.5 .. 0.9 by .2"),
            "length": ("5ep .. 15ep by 5ep", "1it .. 3it", "1 * 2ep .. 4ep"),
        }
        kind = self.random.choice(list(forms))
        name = self.number(_PREFIXES[kind])
        return ["for", name, "in", *tokens_of(self.random.choice(forms[kind])), *self.with_names({name: kind}, depth)]

    def for_rows(self, depth: int) -> list[str]:
        names = {self.number("s"): "share", self.number("r"): "rate"}
        rows = [[self.one("share"), self.one("rate")] for _ in range(self.random.randint(1, 3))]
        return ["for", *self.row([[name] for name in names]), "in", *self.rows(rows), *self.with_names(names, depth)]

    def for_selectors(self, depth: int) -> list[str]:
        name = self.number("k")
        values = self.joined([self.selector() for _ in range(self.random.randint(1, 3))])
        return ["for", name, "in", *values, *self.with_names({name: "selectors"}, depth)]

    def labelled_sweep(self, depth: int) -> list[str]:
        return self.sweep_of_two(self.new_label(), depth)[0]

    def compared_sweep(self, depth: int) -> list[str]:
        """A sweep whose arms stand in a comparison, an expectation and a reference."""
        label = self.new_label()
        tokens, arms = self.sweep_of_two(label, depth)
        left, right = arms
        compared = [label] if self.chance(0.4) else [left, "vs", right]
        tokens += [END, "compare", *compared, *self.compare_arguments()]
        if self.chance(0.4):
            tokens += [END, "expect", f"{left}.test.err", "<", f"{right}.test.err", "-", "0.1"]
        if self.chance(0.4):
            moment = self.random.choice((".end", "", ".best"))
            tokens += [END, "dense", "from", "=", f"@{right}{moment}"]
        return tokens

    def sweep_of_two(self, label: str, depth: int) -> tuple[list[str], tuple[str, str]]:
        """The tokens of a labelled sweep, and the names of two of its arms."""
        share, rate = self.number("s"), self.number("r")
        if self.chance(0.5):
            tokens = [label, ":", "sweep", share, "in", "25%", ",", "0.5"]
            values = ("25%", "0.5") if self.chance(0.5) else (f"{share} =25% ", f"{share}=50%")
            return [*tokens, *self.with_names({share: "share"}, depth)], (
                f"{label}[{values[0]}]",
                f"{label}[{values[1]}]",
            )
        names = {share: "share", rate: "rate"}
        tokens = [label, ":", "sweep", *self.row([[share], [rate]]), "in"]
        tokens += self.rows([[["25%"], ["1e-3"]], [["50%"], ["5e-4"]]])
        comma = self.random.choice((",", ", ", " , "))
        arms = (f"{label}[{share}=25%{comma}{rate}=1e-3]", f"{label}[{share}=50%{comma}{rate}=5e-4]")
        return [*tokens, *self.with_names(names, depth)], arms

    def row(self, values: list[list[str]]) -> list[str]:
        inside = [token for index, value in enumerate(values) for token in ([",", *value] if index else value)]
        return ["(", *inside, ")"]

    def rows(self, rows: list[list[list[str]]]) -> list[str]:
        return [token for index, row in enumerate(rows) for token in ([","] if index else []) + self.row(row)]

    def with_names(self, names: dict[str, str], depth: int) -> list[str]:
        """A body in which the names have values."""
        for name, kind in names.items():
            self.bound[kind].append(name)
        tokens = self.body(depth)
        for name, kind in names.items():
            self.bound[kind].remove(name)
        return tokens

    # --- values -------------------------------------------------------------------------------------------------------

    def bindable(self, kind: str) -> list[str]:
        """What a `let` of that kind of value may name."""
        if kind == "selectors":
            return self.joined([self.selector() for _ in range(self.random.randint(1, 3))])
        expressions = {"share": "1 - 0.5", "length": "2ep * 3", "rate": "( 1e-3 + 2e-3 ) / 2"}
        return tokens_of(expressions[kind]) if kind in expressions and self.chance(0.3) else self.one(kind)

    def one(self, kind: str) -> list[str]:
        """One value of a kind, written or by its name."""
        if self.bound[kind] and self.chance(0.4):
            return [self.random.choice(self.bound[kind])]
        forms = {
            "share": ("50%", "0.5", ".25"),
            "length": ("5ep", "1.25ep", "500it"),
            "rate": ("1e-3", "3e-4", ".1"),
            "target": ("2 : 4", "0 -> 90%", "[ conv : 30% , fc : 0.5 ]", "held"),
        }
        if kind == "selectors":
            return [self.random.choice(("conv", "birnn.hh", '"layer*"', "/layer[0-4]/"))]
        return tokens_of(self.random.choice(forms[kind]))

    def plain(self) -> list[str]:
        """A few arguments that may stand in a `within`."""
        places = "sparse" if self.chance(0.3) else "dense"
        groups = [group for group in self.argument_groups(places, 2) if group[0] in ("wd", "batch", "dropout", "clip")]
        return [token for group in groups for token in group]

    def argument_groups(self, place: str, most: int) -> list[list[str]]:
        """Those that fit every target."""
        groups = super().argument_groups(place, most)
        return [group for group in groups if not (self.is_sound and group[0] in ("masks", "except"))]

    def scoped(self, name: str | None, depth: int) -> list[str]:
        """A variable of a plain loop may be a number that fits nothing."""
        return super().scoped(None if self.is_sound else name, depth)

    def target(self) -> list[str]:
        if not self.chance(0.35):
            return super().target()
        kind = self.random.choice(("share", "share", "target"))
        return [self.random.choice(self.bound[kind])] if self.bound[kind] else super().target()

    def length(self) -> str:
        lengths = self.bound["length"]
        if lengths and self.chance(0.3):
            return self.random.choice(lengths)
        length = super().length()
        return "10ep" if self.is_sound and length == "0ep" else length

    def selector(self) -> str:
        names = self.bound["selectors"]
        return self.random.choice(names) if names and self.chance(0.3) else super().selector()

    def rate(self) -> list[str]:
        rates = self.bound["rate"]
        return [self.random.choice(rates)] if rates and self.chance(0.3) else super().rate()

    # --- names --------------------------------------------------------------------------------------------------------

    def bind(self, kind: str) -> str:
        self.bound[kind].append(self.number(_PREFIXES[kind]))
        return self.bound[kind][-1]

    def number(self, prefix: str) -> str:
        """A name that is not taken."""
        self.num_labels += 1
        return f"{prefix}{self.num_labels}"
