"""Recognises classes of packages that may not be installed, by their names."""

from __future__ import annotations


def descends_from(kind: type, package: str, *names: str) -> bool:
    """Whether a class, or one that it is derived from, has one of these names and is of that package.

    >>> descends_from(bool, "builtins", "int"), descends_from(bool, "torch", "int")
    (True, False)
    """
    return any(parent.__name__ in names and parent.__module__.partition(".")[0] == package for parent in kind.__mro__)
