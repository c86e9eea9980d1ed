"""Warnings that point at the user's own line, wherever in the package they are raised."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from dsd_runtime.notices import DsdWarning

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


def warn(text: str) -> None:
    """Warns (:class:`DsdWarning`) with the innermost line outside of this package."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, DsdWarning, stacklevel=level)
