"""The category of the runtime's warnings, to filter them apart from those of other packages."""

from __future__ import annotations


class DsdWarning(UserWarning):
    """Something that training goes on with and that changes what is measured: the text says what to do."""
