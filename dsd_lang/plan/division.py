"""Resolves a sparse phase's selectors on a model's layers, and divides the weights over a list target.

Written once: the linter, the counts and the runtime all call :func:`divide`. Nothing here imports pydantic or torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.layers import LayerInfo, Selector, WeightInfo, match, parse_selector, select, selected_by
from dsd_lang.base.named_tuples import NamedTuple


class Share(NamedTuple):
    """The weights of one target: the phase's own (``item`` is None) or one item of its list, by index."""

    item: int | None
    weights: tuple[WeightInfo, ...]


class Division(NamedTuple):
    """The weights that a phase selects, by target; ``missing`` are the selectors that match nothing in the model.

    ``left_over`` are weights that `layers=` selects but no item of a list target matches: they get no mask.
    """

    parts: tuple[Share, ...]
    missing: tuple[Selector, ...]
    left_over: tuple[WeightInfo, ...] = ()


def divide(
    layers: Sequence[str], exclude: Sequence[str], items: Sequence[str], inventory: Sequence[LayerInfo]
) -> Division:
    """The selection of `layers=` and `except=`, divided over the selectors of a list target; the first match applies.

    Without ``layers`` the items define the selection; without both it is `prunable`. Without ``items`` there is one
    part. Weights are in the model's order, each once.
    """
    listed = [parse_selector(text) for text in items]
    include = [parse_selector(text) for text in layers] or listed
    weights, missing = select(include, [parse_selector(text) for text in exclude], inventory)
    if not listed:
        return Division((Share(None, weights),), missing)
    named = [{weight.name for weight in selected_by(selector, inventory)} for selector in listed]
    unmatched = (selector for selector, names in zip(listed, named, strict=True) if not names)
    left, parts = weights, []
    for index, names in enumerate(named):
        parts.append(Share(index, tuple(weight for weight in left if weight.name in names)))
        left = tuple(weight for weight in left if weight.name not in names)
    return Division(tuple(parts), tuple(dict.fromkeys((*missing, *unmatched))), left)


def groups_of(layers: Sequence[str], weights: Sequence[WeightInfo], inventory: Sequence[LayerInfo]) -> dict[str, str]:
    """The group of each of the selected weights, for `scope=group`: those that the same selectors of ``layers`` select.

    `prunable` and `all`, and no selector at all, stand for the kinds of the layers that they select. With a list target
    ``layers`` is one item's selector. The order of selectors does not matter.
    """
    kinds = {weight.first_name: layer.kind for layer in reversed(inventory) for weight in layer.weights}
    wide = [parse_selector(text) for text in layers if text in _KINDLESS]
    narrow = {text: {weight.name for weight in match(parse_selector(text), inventory)} for text in layers}
    by_kind = {weight.name for selector in wide for weight in match(selector, inventory)}
    found = {}
    for weight in weights:
        named = sorted(text for text, names in narrow.items() if text not in _KINDLESS and weight.name in names)
        is_of_kind = not layers or weight.name in by_kind
        found[weight.name] = ",".join([*([kinds[weight.name]] if is_of_kind else []), *named])
    return found


_KINDLESS = ("prunable", "all")
