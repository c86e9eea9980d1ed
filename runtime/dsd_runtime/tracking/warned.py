"""Prints Python warnings as one line each, without the source position.

A library's warning is printed unchanged, with the library's name, and each text only once. Filters are Python's own.
dsd's warnings are notes: training continues as the schedule says.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dsd_lang
import dsd_runtime
from dsd_runtime.notices import DsdWarning

# by location: in an editable install they are not below `sys.path`, or below a folder of another name
_OURS = tuple(Path(package.__file__).parent for package in (dsd_lang, dsd_runtime) if package.__file__)


@contextmanager
def warnings_told(say: Callable[[str], None]) -> Iterator[None]:
    """Passes every warning inside the block to ``say``, each once."""
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in told:
            told.add(text)
            kind = "note" if issubclass(category, DsdWarning) else "warning"
            say(f"{kind}: {text}{_origin(filename)}")

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _origin(filename: str) -> str:
    """The library that a file belongs to, in brackets; empty for dsd."""
    path = Path(filename)
    if any(path.is_relative_to(folder) for folder in _OURS):
        return ""
    for root in sorted(sys.path, key=len, reverse=True):
        if root and path.is_relative_to(root):
            return f" ({path.relative_to(root).parts[0].removesuffix('.py')})"
    return ""
