"""What the runtime warns of, apart from the warnings of other packages: filter it by this category."""

from __future__ import annotations


class DsdWarning(UserWarning):
    """Something that training goes on with and that changes what is measured: the text says what to do."""
