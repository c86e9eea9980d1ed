"""Every number that a schedule may hold is shown by every tool: none overflows, no exact fraction grows for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsd_lang.cli import fmt, lint, plan

NUMBERS = [
    "dense 5ep lr=1e300; sparse 50%; dense",
    "dense 5ep lr=1e-300 decay=cosine(floor=1e300)",
    "dense 5ep lr=1e300; dense lr=1e-300",
    "dense 5ep lr=1e300 decay=linear; dense lr=last*2",
    "dense 1e-300ep lr=1e-3; sparse 50% 1e300ep; dense",
    "dense 1e300it lr=1e-3; sparse 50% 1e-300ep; dense",
    "dense 3000ep lr=1 decay=exp(2)",
    "dense 1e300ep lr=1 decay=exp(1e-300)",
    "dense 5ep lr=1e300 decay=step(1ep,2ep,3ep,by=1e300)",
    "dense 5ep lr=1; sparse 1e-300->1e-299 10ep every=1e300ep ramp=exp; dense",
    "fork { baseline: dense 1e-300ep lr=1\n b: dense 1e300ep lr=1 }",
    "dense 5ep lr=1; repeat 2000 { sparse 0.1% of=remaining 100it }; dense",
    "repeat 2000 as i { dense (1/(i+1))ep lr=1/(i+1) }",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_no_number_is_too_much_for_a_tool(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "extreme.dsd")
    Path(path).write_text(text)
    for main, words in (
        (lint.main, []),
        (plan.main, []),
        (plan.main, ["--steps-per-epoch", "10", "--why"]),
        (plan.main, ["--graph", "svg"]),
        (plan.main, ["--json"]),
        (fmt.main, []),
    ):
        assert main([*words, path]) in (0, 1)
        assert "internal error" not in capsys.readouterr().err


def test_thousands_of_exact_shares_are_summed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "slowly.dsd"
    path.write_text("dense 5ep lr=1; repeat 2000 { sparse 0.1% of=remaining 1ep }")
    assert plan.main([str(path)]) == 0
    # 5 + sum of 0.999^k for k = 1..2000 = 5 + 0.999 (1 - 0.999^2000) / 0.001
    assert "total: 2005ep, 401 x the first phase; density-weighted: 868.9353ep" in capsys.readouterr().out
