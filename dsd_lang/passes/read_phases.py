"""Reads the arguments that each phase writes itself; each written argument is read once.

A phase in a loop is read once for each value of the variables it uses. A copy made by `repeat` has the arguments of its
original, replaced by those of the override.
"""

from __future__ import annotations

from dsd_lang import rules
from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import CalledSpan
from dsd_lang.base.errors import nearest
from dsd_lang.base.units import format_exact
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.quantities import Names, Quantity, evaluate, is_accidental_call
from dsd_lang.passes.read_conditions import read_condition
from dsd_lang.passes.read_targets import TargetNode, read_target, target_of_name
from dsd_lang.passes.read_values import read_selectors, read_value
from dsd_lang.passes.scopes import Whole
from dsd_lang.passes.values import FAILED, GivenArguments, is_length
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import words_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import TargetData
    from dsd_lang.syntax.notes import Notes

_RESERVED = ("held", "until", "then", "and", "or")
_COMPANIONS = (  # arguments, the kinds of target that they go with, and those in words
    ("ramp", {"ramp"}, "a ramp such as `0->90%`"),
    ("every", {"ramp"}, "a ramp such as `0->90%`"),
    ("of", {"fraction", "remaining"}, "a share such as `20%`"),
    ("masks", {"held", "current"}, "`held`"),
)


def read_phases(compilation: Compilation) -> None:
    """Fills in ``given`` of every draft."""
    diagnostics = compilation.diagnostics
    reader = _PhaseReader(diagnostics, compilation.notes)
    for draft in compilation.book.phases:
        if draft.original is None:
            draft.given = reader.read(draft.item.node, draft.item.names, is_override=False, whole=draft.item.whole)
        elif draft.item.override is None:
            draft.given = draft.original.given
        else:
            override = reader.read(draft.item.override, draft.item.names, is_override=True, whole=draft.item.whole)
            draft.given = _overridden(draft.original.given, override)


def _overridden(original: GivenArguments, override: GivenArguments) -> GivenArguments:
    """The original's arguments, replaced by those of the override; a ramp's `every=` is part of the target.

    `masks=` is part of `held`.
    """
    merged = override.over(original)
    target = merged.target
    if override.target is None and isinstance(target, dict) and target["kind"] == "ramp":
        shape, every = override.said("ramp"), override.said("every")
        merged.target = {
            **target,
            "shape": shape if isinstance(shape, str) else target["shape"],
            "every": every if is_length(every) else target["every"],
        }
    if override.target is None and isinstance(target, dict) and target["kind"] in ("held", "current"):
        masks = override.said("masks") or original.said("masks")
        merged.target = {"kind": "current" if masks == "current" else "held"}
    return merged


class _PhaseReader:
    def __init__(self, diagnostics: Diagnostics, notes: Notes | None) -> None:
        self.diagnostics = diagnostics
        self.notes = notes
        self._words: dict[int, set[str]] = {}
        self._read: dict[tuple[object, ...], GivenArguments] = {}

    def read(self, node: nodes.Phase, names: Names, *, is_override: bool, whole: Whole | None) -> GivenArguments:
        words = sorted(self.words(node)) if names else ()
        bound = tuple((name, str(names[name])) for name in words if name in names)
        key = (id(node), *bound) if whole is None else (id(node), whole.length, *bound)
        given = self._read.get(key)
        if given is None:
            if self.notes is None or isinstance(node.span, CalledSpan):
                given = self.fresh(node, names, is_override, whole)
            else:
                given = self.noted(self.notes, key[1:], node, names, is_override, whole)
            self._read[key] = given
        return given

    def noted(
        self,
        notes: Notes,
        variables: tuple[object, ...],
        node: nodes.Phase,
        names: Names,
        is_override: bool,
        whole: Whole | None,
    ) -> GivenArguments:
        """What is noted about the phase with these variables; else it is read, and noted if there is no diagnostic."""
        offset = node.mode_span.start
        earlier = notes.phase(offset, variables)
        if earlier is not None:
            value, move = earlier
            given: GivenArguments = value.moved(move)
        else:
            diagnostics, self.diagnostics = self.diagnostics, Diagnostics()
            given = self.fresh(node, names, is_override, whole)
            found, self.diagnostics = self.diagnostics, diagnostics
            for diagnostic in found:
                diagnostics.report(diagnostic)
            if len(found):
                return given
        notes.phases[offset, variables] = given
        return given

    def words(self, node: nodes.Phase) -> set[str]:
        words = self._words.get(id(node))
        if words is None:
            words = {word for item in node.items for word in words_in(item)}
            self._words[id(node)] = words
        return words

    def fresh(self, node: nodes.Phase, names: Names, is_override: bool, whole: Whole | None) -> GivenArguments:
        given = GivenArguments()
        target: tuple[TargetNode, Quantity | None] | None = None
        for written in node.items:
            item = target_of_name(written, names)
            if isinstance(item, nodes.Argument):
                self.argument(node, item, names, given)
            elif isinstance(item, nodes.Until):
                self.until(item, names, given)
            elif isinstance(item, nodes.TARGETS):
                target = self.one_target(node, item, None, target)
            else:
                quantity = self.positional(node, item, names, given)
                if quantity is not None and whole is not None and (node.mode == "dense" or target is not None):
                    self.share(node, item, quantity, whole, given)
                elif quantity is not None:
                    target = self.one_target(node, item, quantity, target)
                    if node.mode == "dense":
                        self.fail(given, "length")
        if node.mode == "sparse":
            self.target(node, target, names, given, is_override)
        return given

    def argument(self, node: nodes.Phase, item: nodes.Argument, names: Names, given: GivenArguments) -> None:
        row = BY_NAME.get(item.name)
        if row is None:
            self.foreign(node, item.name, given)
        if row is None or node.mode not in row.places:
            return  # the rule `unknown_argument` reports it
        if item.name in given.arguments:
            return  # the rule `duplicate_argument` reports it
        data = read_value(row, item.value, names, self.diagnostics)
        given.arguments[item.name] = FAILED if data is None else data

    def foreign(self, node: nodes.Phase, name: str, given: GivenArguments) -> None:
        """`epochs=50` is not an argument, but a length was meant: so none is missing, and none is inherited."""
        from dsd_lang.base.foreign_words import FOREIGN_ARGUMENTS

        meant = FOREIGN_ARGUMENTS.get(name.lower())
        if meant is not None and meant.role and (node.mode == "sparse" or meant.role == "length"):
            self.fail(given, meant.role)

    def fail(self, given: GivenArguments, role: str) -> None:
        """Marks a target or length that was meant but not readable: so none is missing, and none is inherited."""
        if role == "length" and given.length is None:
            given.length = FAILED
        elif role == "target" and given.target is None:
            given.target = FAILED

    def until(self, item: nodes.Until, names: Names, given: GivenArguments) -> None:
        if given.until is not None:
            self.diagnostics.report(rules.duplicate_argument.second_until(item))
            return
        condition = read_condition(item.condition, names, self.diagnostics)
        given.until = FAILED if condition is None else condition

    def positional(self, node: nodes.Phase, item: nodes.Value, names: Names, given: GivenArguments) -> Quantity | None:
        """Takes a length; returns anything else as the target."""
        quantity = None if self.is_misspelt(item, names) else evaluate(item, names, self.diagnostics)
        if quantity is None:
            self.fail(given, "target" if node.mode == "sparse" else "length")
            return None
        if not quantity.is_length:
            return quantity
        if isinstance(given.length, Quantity):
            self.diagnostics.report(rules.duplicate_argument.second_length(node, item, str(quantity)))
        elif quantity.is_negative:
            self.diagnostics.report(rules.length_without_unit.negative(item.span))
            given.length = FAILED
        else:
            given.length = quantity
        return None

    def share(
        self, node: nodes.Phase, item: nodes.Value, quantity: Quantity, whole: Whole, given: GivenArguments
    ) -> None:
        """Takes a length that is a share of the block around it."""
        if isinstance(given.length, Quantity):
            self.diagnostics.report(rules.duplicate_argument.second_length(node, item, str(quantity)))
        elif quantity.is_negative or quantity.value > 1:
            self.diagnostics.report(rules.shares_past_whole.too_much(item.span, str(quantity), str(whole.length)))
            given.length = FAILED
        else:
            given.length = whole.length._replace(value=whole.length.value * quantity.value)

    def is_misspelt(self, item: nodes.Value, names: Names) -> bool:
        """Whether a word is most likely a misspelt keyword of a phase; reports it."""
        if not isinstance(item, nodes.Name) or item.text in names:
            return False
        from dsd_lang.base.foreign_words import item_meant

        if item.text in BY_NAME:
            self.diagnostics.report(rules.wrong_value.no_value(item, BY_NAME[item.text].meaning))
            return True
        meant = item_meant(item.text)
        word = meant.word if meant is not None else nearest(item.text.lower(), (*_RESERVED, *names))
        if meant is None and word not in _RESERVED:
            return False
        self.diagnostics.report(rules.wrong_value.no_item_of_phase(item, word, meant.help if meant is not None else ""))
        return True

    def one_target(
        self,
        node: nodes.Phase,
        item: TargetNode,
        quantity: Quantity | None,
        before: tuple[TargetNode, Quantity | None] | None,
    ) -> tuple[TargetNode, Quantity | None] | None:
        is_whole = quantity is not None and quantity.unit == "" and quantity.is_at_least_one
        if is_whole and (node.mode == "dense" or before is not None):
            assert quantity is not None
            self.diagnostics.report(rules.length_without_unit.no_unit(item, format_exact(quantity.value)[:20]))
            return before
        if node.mode == "dense":
            self.diagnostics.report(rules.unknown_argument.target_of_dense(item.span))
            return before
        if before is not None:
            self.diagnostics.report(rules.duplicate_argument.second_target(item.span))
            return before
        return (item, quantity)

    def target(
        self,
        node: nodes.Phase,
        target: tuple[TargetNode, Quantity | None] | None,
        names: Names,
        given: GivenArguments,
        is_override: bool,
    ) -> None:
        if target is None:
            values = (item.value for item in node.items if isinstance(item, nodes.Argument))
            if any(is_accidental_call(value, names) for value in values):
                given.target = FAILED  # inside of parentheses that read as a call, which is reported
            elif not is_override and given.target is None:
                self.diagnostics.report(rules.target_out_of_range.no_target(node))
                given.target = FAILED
            return
        data = read_target(target[0], names, given, self.diagnostics, value=target[1])
        given.target = FAILED if data is None else data
        if data is not None:
            self.companions(node, data, given)
        if isinstance(target[0], nodes.ListTarget):
            given.are_layers_of_target = given.said("layers") is None
            selectors = read_selectors(tuple(item.selector for item in target[0].items), names, self.diagnostics)
            given.arguments.setdefault("layers", FAILED if selectors is None else selectors)

    def companions(self, node: nodes.Phase, target: TargetData, given: GivenArguments) -> None:
        """Checks that `ramp=` and `every=` are used with a ramp, `of=` with a share, and `masks=` with `held`."""
        kinds: set[str] = {target["kind"]}
        if target["kind"] == "list":
            kinds.update(item["target"]["kind"] for item in target["items"])
        for name, fitting, what in _COMPANIONS:
            if given.said(name) is not None and not kinds & fitting:
                self.diagnostics.report(rules.unknown_argument.without_companion(node, name, what))
