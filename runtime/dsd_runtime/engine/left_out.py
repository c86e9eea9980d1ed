"""Messages about weights that a plan's selection unexpectedly leaves out or includes.

Nothing is said about what the language reference defines: embeddings, norms, a first convolution and a CTC projection
are not `prunable`. Weights that are frozen, tied to an embedding, in an attention module or in a module of unknown kind
are reported once, if they are at least 1% of the weights in the model's matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dsd_lang.base.layers import LayerInfo, Selector, WeightInfo, match, parse_selector, unpruned_first_conv
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.selection_plan import select_weights

_EXPECTED = {
    "embed": "embedding", "norm": "norm", "ctc": "projection to a CTC alphabet", "first_conv": "first convolution"
}  # fmt: skip
_SURPRISING = {
    "frozen": "frozen or not in the optimizer",
    "tied": "tied to an embedding",
    "attention": "in an attention module",
    "other": "in a module of unknown kind",
}
_LEAST_SHARE = 0.01
_MOST_SHOWN = 3
_PRUNABLE = Selector("word", "prunable")


def selection_notes(plan: Plan, layers: Sequence[LayerInfo]) -> list[str]:
    """A sentence about frozen weights that the plan names, and one about weights that its words leave out, if due."""
    phases = [phase for phase in plan.phases if phase.mode == "sparse" and phase.target and phase.target.kind != "held"]
    if not phases:
        return []
    known = {weight.name: weight for layer in layers for weight in layer.weights}
    chosen = {name: known[name] for phase in phases for name in select_weights(phase, layers).names}
    notes = (_frozen(chosen.values()), _left_out(phases, layers, chosen))
    return [note for note in notes if note is not None]


def _frozen(chosen: Iterable[WeightInfo]) -> str | None:
    frozen = [weight.name for weight in chosen if not weight.is_trainable]
    if not frozen:
        return None
    verb, it = ("is", "it") if len(frozen) == 1 else ("are", "them")
    return (
        f"{_shown(frozen)} {verb} frozen or not in the optimizer, and pruned because the schedule names {it}: "
        f"a re-dense phase cannot regrow {it}"
    )


def _left_out(phases: Sequence[Phase], layers: Sequence[LayerInfo], chosen: Mapping[str, WeightInfo]) -> str | None:
    matrices = {w.name: w for layer in layers for w in layer.weights if w.is_matrix and w.tied_to is None}
    left = {name: weight for name, weight in matrices.items() if name not in chosen}
    reasons = _Reasons.of(phases, layers)
    found = {name: reasons(weight) for name, weight in left.items()}
    surprising = [name for name, reason in found.items() if reason in _SURPRISING]
    total = sum(weight.size for weight in matrices.values())
    if sum(left[name].size for name in surprising) < max(1, _LEAST_SHARE * total):
        return None
    share = sum(weight.size for weight in left.values()) / total
    verb = "is" if len(left) == 1 else "are"
    return (
        f"{len(left)} of {len(matrices)} matrices, {_percent(share)} of the weights, {verb} not selected: "
        f"{', '.join(_groups(found))}; to prune more, name it: `layers=prunable,{_example(found, surprising)}`"
    )


@dataclass(frozen=True, slots=True)
class _Reasons:
    """The reasons why a weight may be left out of a selection."""

    kinds: Mapping[str, frozenset[str]]
    frozen: frozenset[str]
    excluded: frozenset[str]
    has_default: bool

    @classmethod
    def of(cls, phases: Sequence[Phase], layers: Sequence[LayerInfo]) -> _Reasons:
        kinds: dict[str, set[str]] = {}
        first_conv = unpruned_first_conv(layers)
        for layer in layers:
            for weight in layer.weights:
                kinds.setdefault(weight.first_name, set()).add("first_conv" if layer is first_conv else layer.kind)
        words = set(_words(phases))
        matched = {weight for word in words for weight in match(word, layers)}
        excluded = {weight.name for p in phases for text in p.except_ for weight in match(parse_selector(text), layers)}
        return cls(
            {name: frozenset(found) for name, found in kinds.items()},
            frozenset(weight.name for weight in matched if not weight.is_trainable),
            frozenset(excluded),
            _PRUNABLE in words,
        )

    def __call__(self, weight: WeightInfo) -> str:
        """One of the reasons above, or `not named` for weights that nobody would expect to be selected."""
        kinds = self.kinds[weight.name]
        if weight.name in self.excluded:
            return "not named"
        if weight.name in self.frozen:
            return "frozen"
        if not self.has_default:
            return "not named"
        if "embed" in kinds:
            return "tied" if len(kinds) > 1 else "embed"
        for reason in ("first_conv", "norm", "ctc", "attention", "other"):
            if reason in kinds:
                return reason if weight.is_trainable or reason in _EXPECTED else "frozen"
        return "not named"


def _words(phases: Iterable[Phase]) -> Iterator[Selector]:
    """The words by which the phases select: `prunable` by default."""
    for phase in phases:
        items = phase.target.items if phase.target is not None and phase.target.kind == "list" else ()
        texts = phase.layers or tuple(item.selector for item in items)
        selectors = [parse_selector(text) for text in texts] or [_PRUNABLE]
        yield from (selector for selector in selectors if selector.form == "word")


def _groups(found: Mapping[str, str]) -> Iterator[str]:
    """`11 frozen or not in the optimizer (`a`, `b`, ...)` for each reason, the surprising ones first."""
    for reason, text in {**_SURPRISING, **_EXPECTED, "not named": "not named by the schedule"}.items():
        names = [name for name, its_reason in found.items() if its_reason == reason]
        if names:
            plural = "s" if len(names) > 1 and reason in _EXPECTED and reason != "ctc" else ""
            yield f"{len(names)} {text}{plural} ({_shown(names, most=2)})"


def _example(found: Mapping[str, str], surprising: Sequence[str]) -> str:
    """An example of a selector; for a trained weight, if possible."""
    first = min(surprising, key=lambda name: found[name] == "frozen")
    if found[first] == "attention":
        return "attention"
    owner = first.rpartition(".")[0]
    return f'"{owner or first}"'


def _shown(names: Sequence[str], *, most: int = _MOST_SHOWN) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.995 else f"{100 * share:.4g}%"
