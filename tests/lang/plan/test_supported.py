"""What `dsd-run` does not support is found wherever a condition reads it. No metric is such today: one is made so."""

from __future__ import annotations

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.metrics import MEASURES
from dsd_lang.rules.unsupported_yet import find


@pytest.mark.parametrize(
    ("text", "under_the_carets"),
    [
        ("dense 9ep lr=1 until val.err < 1", "until val.err < 1"),
        ("dense 9ep lr=1 until val.loss < 1 and not 2 * val.err > 5", "until val.loss"),
        ("dense 9ep lr=1 until plateau(val.err, patience=2)", "until plateau"),
        ("repeat 3 until gain(val.err) < 1 { dense 9ep lr=1 }", "until gain"),
        ("dense 9ep lr=1 until val.loss < 1", None),
        ("dense 9ep lr=1; expect val.err < 1", None),  # judged after the run, by what was measured
    ],
)
def test_a_metric_in_a_condition(text: str, under_the_carets: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, "err", MEASURES["err"]._replace(is_supported=False))
    resolved = analyse(text).resolved
    assert resolved is not None
    found = find(resolved)
    assert [item.message for item in found] == (["`err` is not supported yet"] if under_the_carets else [])
    assert all(text[item.span.start :].startswith(under_the_carets or "") for item in found)
