"""Selectors as names stand for them: in `layers=k`, in a list target, in the values of a `let`."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.layers import KINDS, ROLES, Selector
from dsd_lang.syntax import nodes


def as_selectors(bound: object, span: Span) -> tuple[nodes.SelectorNode, ...] | None:
    """The selectors that a value stands for; None for anything else."""
    if isinstance(bound, nodes.SelectorList):
        return bound.items
    if isinstance(bound, nodes.SelectorNode):
        return (bound,)
    if isinstance(bound, nodes.Name):
        return (nodes.SelectorNode(Selector("word", bound.text), span),)
    return (nodes.SelectorNode(Selector("glob", bound.value), span),) if isinstance(bound, nodes.Text) else None


def selectors_of(node: nodes.SelectorNode, names: Mapping[str, object]) -> tuple[nodes.SelectorNode, ...] | None:
    """What a selector stands for: itself, or the value of a name; None for a name that is no selector.

    A kind or role of layers always means itself.
    """
    word = node.selector.text
    if node.selector.form != "word" or word in KINDS or word in ROLES or word not in names:
        return (node,)
    return as_selectors(names[word], node.span)
