"""The category of the runtime's warnings, so that they can be filtered separately."""

from __future__ import annotations


class DsdWarning(UserWarning):
    """A warning about something that changes results while training continues; the text says what to do."""
