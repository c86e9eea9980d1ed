"""Strips positions from a tree, so that two texts can be compared by their content."""

from __future__ import annotations


def bare(node: object) -> object:
    """A node as plain tuples, without spans."""
    if isinstance(node, tuple) and not hasattr(node, "_fields"):
        return tuple(bare(item) for item in node)
    names = getattr(type(node), "__match_args__", None)
    if names is None or isinstance(node, tuple):
        return node
    return (type(node).__name__, *(bare(getattr(node, name)) for name in names if not name.endswith("span")))
