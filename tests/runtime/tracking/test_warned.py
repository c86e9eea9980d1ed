"""Warnings in a run: each once, in one line, without a path; nothing that Python would show is hidden."""

from __future__ import annotations

import warnings

from dsd_runtime.tracking.warned import warnings_told


def test_each_is_told_once_and_without_its_place() -> None:
    told: list[str] = []
    before = warnings.showwarning
    with warnings.catch_warnings(), warnings_told(told.append):
        warnings.simplefilter("always")
        for _ in range(3):
            warnings.warn("the first\n   of two", RuntimeWarning, stacklevel=1)
            warnings.warn("the second", UserWarning, stacklevel=1)
    assert told == ["warning: the first of two", "warning: the second"] or all("/" not in text for text in told)
    assert [text.split(" (")[0] for text in told] == ["warning: the first of two", "warning: the second"]
    assert warnings.showwarning is before


def test_a_librarys_is_told_with_its_name() -> None:
    told: list[str] = []
    import torch.nn.functional

    with warnings.catch_warnings(), warnings_told(told.append):
        warnings.simplefilter("always")
        warnings.warn_explicit("lr is odd", UserWarning, torch.nn.functional.__file__, 1)
        warnings.warn_explicit("ours", UserWarning, warnings_told.__wrapped__.__code__.co_filename, 1)
    assert told == ["warning: lr is odd (torch)", "warning: ours"]
