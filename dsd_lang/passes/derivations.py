"""Explains derived values for `--why`: which rule each follows, and where it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dsd_lang.base.diagnostics import CalledSpan, Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import format_short
from dsd_lang.passes.draft import Draft, Draftbook
from dsd_lang.passes.quantities import Quantity
from dsd_lang.passes.read_settings import Settings
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import below

_ORIGINS = {"set": "`set`", "flag": "`--set`", "preset": "the model's preset"}


class Derivation(NamedTuple):
    """One derived attribute: the rule in words, and the spans of the rule's statement and of the value.

    ``is_written_here``: the phase itself writes the value, as an expression.
    """

    name: str
    rule: str
    statement: Span | None
    written: Span | None
    is_written_here: bool = False


def derivations(
    book: Draftbook, settings: Settings, text: str, used_texts: Mapping[str, str] = {}
) -> list[tuple[Derivation, ...]]:
    """The derived and computed values of each phase, in the plan's order; ``used_texts`` has those of other files."""
    tracing = _Tracing(settings, {**used_texts, "": text})
    return [tuple(tracing.phase(draft)) for draft in book.phases]


class _Tracing:
    def __init__(self, settings: Settings, texts: Mapping[str, str]) -> None:
        self.settings = settings
        self.texts = texts
        self.origins: dict[tuple[int, str], Span | None] = {}

    def phase(self, draft: Draft) -> Iterator[Derivation]:
        """All derived attributes; phases come in order, so the origins of inherited values are known."""
        for name, source, rule in (
            ("duration", *self.length_rule(draft)),
            ("lr", *self.rate_rule(draft)),
            ("target", *self.target_rule(draft)),
            ("layers", *self.layers_rule(draft, "layers")),
            ("except", *self.layers_rule(draft, "except")),
        ):
            if rule is None:
                self.origins[draft.index, name] = self.written_here(draft, name)
            elif source is not None:
                self.origins[draft.index, name] = self.origins.get((source.index, name))
            else:
                self.origins[draft.index, name] = self.setting_span(name)
            if rule is not None and name in draft.derived:
                statement = draft.item.repeat_span if source is not None and source is draft.original else None
                yield Derivation(name, rule, statement, self.origins[draft.index, name])
            elif rule is None and (name != "target" or draft.mode == "sparse"):
                yield from self.computed(draft, name)

    def length_rule(self, draft: Draft) -> tuple[Draft | None, str | None]:
        if "duration" not in draft.derived:
            return None, None
        if draft.item.whole is not None and draft.given.length is None:
            return None, f"the rest of the {draft.item.whole.length} of its `within`"
        source = draft.original or draft.length_from
        assert source is not None, "a length is written, copied or inherited"
        words = "copied" if source is draft.original else "inherited"
        return source, f"{words} from phase {source.index} ({_short(source.length)})"

    def rate_rule(self, draft: Draft) -> tuple[Draft | None, str | None]:
        if "lr" not in draft.derived:
            return None, None
        original, parent = draft.original, draft.parent
        if original is not None:
            factor = f" x {format_short(draft.item.scale)}" if draft.item.scale != 1 else ""
            return original, f"copied from phase {original.index} ({_short(original.lr)}){factor}"
        if parent is None:
            setting = self.settings.get("lr")
            whose = "the optimizer's own rate" if setting is None else f"from {_ORIGINS[setting.origin]}"
            return None, whose
        if draft.block is not None and draft.block.head is not draft:
            head = draft.block.head
            return head, f"the one rate of the `within`, from phase {head.index} ({_short(head.lr)})"
        if draft.mode == "dense" and parent.mode == "sparse" and parent.lr == draft.lr:
            return parent, f"the one rate of `clock=global`, from phase {parent.index} ({_short(parent.lr)})"
        if draft.mode == "dense" and parent.mode == "sparse":
            return parent, f"0.1 x the start of phase {parent.index} ({_short(parent.lr)}), as `dense` after `sparse`"
        return parent, f"inherited from the start of phase {parent.index} ({_short(parent.lr)})"

    def target_rule(self, draft: Draft) -> tuple[Draft | None, str | None]:
        if "target" not in draft.derived or draft.original is None:
            return None, None
        return draft.original, f"copied from phase {draft.original.index}"

    def layers_rule(self, draft: Draft, name: str) -> tuple[Draft | None, str | None]:
        if draft.mode != "sparse" or name not in draft.derived:
            return None, None
        if draft.given.are_layers_of_target:
            return None, "the layers of the target's list"
        if draft.original is not None:
            return draft.original, f"copied from phase {draft.original.index}"
        if draft.previous_sparse is not None:
            return draft.previous_sparse, f"inherited from phase {draft.previous_sparse.index}, the last sparse one"
        setting = self.settings.get(name)
        return None, "the default" if setting is None else f"from {_ORIGINS[setting.origin]}"

    def setting_span(self, name: str) -> Span | None:
        setting = self.settings.get(name)
        return setting.node.span if setting is not None and setting.origin == "set" else None

    def written_here(self, draft: Draft, name: str) -> Span | None:
        """The span where the phase itself writes an attribute."""
        if name in ("lr", "layers", "except"):
            return draft.span_of(name)
        item = _positional(draft.node, name)
        return item.span if item is not None else draft.node.mode_span

    def computed(self, draft: Draft, name: str) -> Iterator[Derivation]:
        """A value written as an expression of other values."""
        node = _rate_node(draft.node) if name == "lr" else _positional(draft.node, name)
        if node is None or not any(isinstance(part, nodes.Name) for part in below(node)):
            return
        file = node.span.file if isinstance(node.span, CalledSpan) else None
        words = " ".join(self.texts[file or ""][node.span.start : node.span.end].split())
        yield Derivation(name, f"written as `{words}`", None, node.span, True)


def _short(quantity: Quantity | None) -> str:
    return "unknown" if quantity is None else quantity.short


def _rate_node(node: nodes.Phase) -> nodes.Value | None:
    found = (item.value for item in node.items if isinstance(item, nodes.Argument) and item.name == "lr")
    return next((value for value in found if not isinstance(value, (tuple, nodes.ListTarget))), None)


def _positional(node: nodes.Phase, name: str) -> nodes.Value | None:
    """The item that is the length or the target; a length is recognised by its unit."""
    items = [item for item in node.items if not isinstance(item, _NOT_A_VALUE)]
    lengths = [item for item in items if isinstance(item, nodes.LengthLiteral)]
    if name == "duration":
        return next(iter(lengths), items[-1] if items and (node.mode == "dense" or len(items) > 1) else None)
    others = [item for item in items if not isinstance(item, nodes.LengthLiteral)]
    return others[0] if name == "target" and others else None


_NOT_A_VALUE = (
    nodes.Argument,
    nodes.Until,
    nodes.NofMTarget,
    nodes.RampTarget,
    nodes.HeldTarget,
    nodes.ListTarget,
)


class SettingSource(NamedTuple):
    """An effective setting: value, origin, span, and the values it overrides (origin, value, span)."""

    name: str
    shown: object
    origin: str
    span: Span | None
    beaten: tuple[tuple[str, object, Span | None], ...]


def setting_sources(winners: Settings, by_origin: Mapping[str, Settings]) -> tuple[SettingSource, ...]:
    """The origin of every setting and what it overrides; ``by_origin`` has each origin's settings on their own."""
    return tuple(
        SettingSource(
            name,
            setting.shown,
            _ORIGINS[setting.origin],
            setting.node.span if setting.origin == "set" else None,
            tuple(
                (_ORIGINS[origin], others[name].shown, others[name].node.span if origin == "set" else None)
                for origin, others in by_origin.items()
                if origin != setting.origin and name in others
            ),
        )
        for name, setting in winners.items()
    )
