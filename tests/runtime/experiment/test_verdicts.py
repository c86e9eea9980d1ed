"""What `dsd-run` answers at its end: verdicts, `results.json`, the exit code, and the predictions they need."""

from __future__ import annotations

import json
from pathlib import Path

from dsd_runtime.results.results import Results

from .conftest import Run

FORK = "fork { a: dense 1ep lr=0.05\n b: dense 1ep lr=0.01 }\n"


def test_a_run_ends_with_its_verdicts_and_a_failed_expectation_with_exit_1(dsd_run: Run) -> None:
    claims = "compare a vs b on=test.err\nexpect a.test.err < 100\nexpect a.test.err < 0"
    outcome = dsd_run(FORK + claims)
    assert outcome.code == 1
    told = json.loads(outcome.out)
    comparison, (holds, fails) = told["comparisons"][0], (item["verdict"] for item in told["expectations"])
    assert "over the same 359 test samples" in comparison["verdict"]
    assert comparison["items"][0]["test"] == "mcnemar"
    assert holds.startswith("expected a.test.err < 100: holds, by ")
    assert fails.startswith("expected a.test.err < 0: fails, by ")
    assert Results.from_json((outcome.folder / "results.json").read_text()).verdicts[1] == holds
    assert dsd_run(FORK + "expect a.test.err < 100").code == 0


def test_a_claim_without_an_answer_is_told_after_the_training_and_is_no_crash(dsd_run: Run) -> None:
    """The linter warns of them (DSD210); a schedule with a warning is trained."""
    claims = "compare e vs d on=test.err\nexpect e.test.err < 100\nexpect test.err < 100"
    outcome = dsd_run(f"fork {{ e: {{ fork {{ x: dense 1ep lr=0.05 }} }}\nd: dense 1ep lr=0.01 }}\n{claims}")
    told = json.loads(outcome.out)
    assert outcome.code == 1
    assert told["comparisons"][0]["verdict"].startswith("`e` and `d` cannot be compared on test.err")
    assert [item["verdict"].partition("not decided, ")[2] for item in told["expectations"]] == [
        "`e` has no phases",
        "the main line has no phases",
    ]


def test_predictions_are_kept_for_what_is_compared_unless_told_not_to(dsd_run: Run) -> None:
    without = dsd_run(FORK + "compare a vs b on=test.err", "--no-predictions")
    assert not list(without.folder.glob("predictions/*"))
    assert not without.result["comparisons"][0]["items"]
    kept = dsd_run(FORK + "compare a vs b on=test.err")
    assert len(list(kept.folder.glob("predictions/*.jsonl"))) == 2
    wrong = sum(line["guess"] != line["target"] for line in _lines(sorted(kept.folder.glob("predictions/*"))[0]))
    errors = {item["metrics"]["test.err"] for item in kept.result["phases"]}
    assert any(abs(100 * wrong / 359 - error) < 1e-9 for error in errors)
    dsd_run(FORK)
    assert not list(kept.folder.glob("predictions/*"))


def _lines(path: Path) -> list[dict[str, int]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
