"""`dsd_lang.plan` imports its parts when they are asked for; what it lists is there, and nothing else."""

from __future__ import annotations

import pytest

import dsd_lang.plan


def test_every_listed_name_is_there_and_shown() -> None:
    for name in dsd_lang.plan.__all__:
        vars(dsd_lang.plan).pop(name, None)  # as where it was not asked for before
        value = getattr(dsd_lang.plan, name)
        assert value is not None
        assert getattr(value, "__name__", name) == name
    assert set(dsd_lang.plan.__all__) <= set(dir(dsd_lang.plan))


def test_another_name_is_an_attribute_error_that_says_so() -> None:
    assert not hasattr(dsd_lang.plan, "Phrase")
    with pytest.raises(AttributeError, match="has no attribute `Phrase`"):
        dsd_lang.plan.Phrase  # noqa: B018
    with pytest.raises(ImportError):
        from dsd_lang.plan import Phrase  # noqa: F401
