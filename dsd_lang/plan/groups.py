"""Resolves `lr=[...]` and `freeze=` on a model's layers: which weights an item of the list has, and which are frozen.

Written once: the linter and the runtime call these functions. Nothing here imports pydantic or torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.layers import (
    LayerInfo,
    Selector,
    covers,
    describe_inventory,
    parse_selector,
    trained_together,
)
from dsd_lang.base.named_tuples import NamedTuple

_ALL = Selector("word", "all")
NOTHING_TRAINED = "`freeze=` leaves no weight that is trained"


class Grouping(NamedTuple):
    """The item of a list that each weight belongs to, by first name; ``missing`` selectors match nothing.

    ``unreached`` are the indexes of items whose weights all belong to earlier items.
    """

    items: dict[str, int]
    missing: tuple[Selector, ...]
    unreached: tuple[int, ...]


def group_weights(selectors: Sequence[str], inventory: Sequence[LayerInfo]) -> Grouping:
    """The weights of each item of `lr=[...]`; the first item that matches a weight counts.

    >>> from dsd_lang.base.layers import WeightInfo
    >>> fc = LayerInfo("fc", "fc", (WeightInfo("fc.weight", (4, 2)), WeightInfo("fc.bias", (4,))))
    >>> group_weights(["fc", "all"], [fc])
    Grouping(items={'fc.weight': 0, 'fc.bias': 0}, missing=(), unreached=(1,))
    """
    items: dict[str, int] = {}
    missing: list[Selector] = []
    unreached: list[int] = []
    for index, selector in enumerate(map(parse_selector, selectors)):
        weights = trained_together(selector, inventory)
        left = [weight.name for weight in weights if weight.name not in items]
        items.update(dict.fromkeys(left, index))
        if not weights:
            missing.append(selector)
        elif not left:
            unreached.append(index)
    return Grouping(items, tuple(dict.fromkeys(missing)), tuple(unreached))


def always_unreached(selectors: Sequence[str]) -> tuple[int, ...]:
    """The items of a list that no model reaches: `fc` in `[all: 1e-4, fc: 1e-3]`."""
    before: dict[Selector, None] = {}
    found: list[int] = []
    for index, selector in enumerate(map(parse_selector, selectors)):
        is_word = selector.form == "word"
        if selector in before or _ALL in before or (is_word and any(covers(wide, selector) for wide in before)):
            found.append(index)
        before[selector] = None
    return tuple(found)


def why_unreached(selector: str) -> tuple[str, str]:
    """A sentence and advice about an item of `lr=[...]` that no weight is left for."""
    return (
        f"`{selector}` is never reached: the items before it take all its weights",
        "the first match applies: write the narrower selector first",
    )


def frozen_weights(
    selectors: Sequence[str], inventory: Sequence[LayerInfo]
) -> tuple[frozenset[str], tuple[Selector, ...]]:
    """The first names of the weights that `freeze=` names, and the selectors that match nothing."""
    found = {selector: trained_together(selector, inventory) for selector in map(parse_selector, selectors)}
    names = frozenset(weight.name for weights in found.values() for weight in weights)
    return names, tuple(selector for selector, weights in found.items() if not weights)


def why_nothing_is_trained(selectors: Sequence[str], inventory: Sequence[LayerInfo] | None) -> tuple[str, str] | None:
    """A sentence and advice if `freeze=` freezes every weight that is trained; None otherwise.

    Without a model (``inventory`` is None), only `all` does so certainly.
    """
    advice = "leave out a layer that is to be trained"
    if inventory is None:
        return (NOTHING_TRAINED, advice) if "all" in selectors else None
    frozen, _ = frozen_weights(selectors, inventory)
    trained = {weight.first_name for layer in inventory for weight in layer.weights if weight.is_trainable}
    if not frozen or trained - frozen:
        return None
    return NOTHING_TRAINED, f"{advice}; this model has: {describe_inventory(inventory)}"
