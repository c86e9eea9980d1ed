"""Published numbers in a schedule's head beside the phases that they are of, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import dsd_lang
from dsd_runtime.results.parts import PhaseResult, Provenance
from dsd_runtime.results.published import published
from dsd_runtime.results.report_tables import result_table
from dsd_runtime.results.results import Results

SCHEDULES = Path(__file__).resolve().parents[3] / "schedules"
DSD = "a: dense 1ep lr=0.1\nfork { dsd: { b: sparse 50%; c: dense }\n plain: dense 2ep }\n"


def results_of(text: str, model: str = "lenet_300_100") -> Results:
    phases = tuple(
        PhaseResult(id=phase.id, parent=phase.parent, path=phase.path, label=phase.label, node=None, mode=phase.mode,
                    target=None, seed=phase.seed_index, length="1ep", state="trained")
        for phase in dsd_lang.compile(text).phases
    )  # fmt: skip
    return Results(run="x", provenance=Provenance(plan_hash="", schedule_text=text, model=model), phases=phases)


def columns(results: Results) -> dict[str, list[str]]:
    """The last columns of the table that are published ones."""
    table = result_table([("x", results)])
    places = [index for index, name in enumerate(table.headers) if name.startswith("published")]
    return {table.headers[index]: [row[index] for row in table.rows] for index in places}


@pytest.mark.parametrize(
    ("name", "model", "found"),
    [
        ("deepspeech", "ds1", {
            "published: WER on WSJ'92": ["29.82", "27.90", "27.90", "27.45", "27.45", "28.03"],
            "published: on WSJ'93": ["34.57", "32.99", "32.20", "32.99", "31.59", "33.55"],
        }),
        ("googlenet", "googlenet", {
            "published: top-1/top-5 error": ["31.14/10.96", "30.58/10.58", "30.02/10.34", "30.20/10.41"],
        }),
        ("resnet", "resnet50:width=8", {"published": ["24.01/7.02", "23.55/6.88", "22.89/6.47", "23.58/6.84"]}),
        ("quickstart", "lenet_300_100", {"published": ["3.06%", "2.68%", "2.57%"]}),
        ("first", "ds1", {}),
        ("resnet20_significance", "resnet20", {}),
        ("lottery_ticket", "lenet_300_100", {}),
    ],
)  # fmt: skip
def test_the_claims_of_the_schedules(name: str, model: str, found: dict[str, list[str]]) -> None:
    assert columns(results_of((SCHEDULES / f"{name}.dsd").read_text(encoding="utf-8"), model)) == found


@pytest.mark.parametrize(
    "claim",
    [
        "29.8, 27.9 after each phase",  # a line of two phases is not there
        "WER 29.8, 27.9, 27.9, 27.4 after each phase.",
        "it is better by 1, 2, 3 points.",
        "3.1% after a, 2.9% after nowhere",
        "1.2 dense, 3.4 sparse",
    ],
)
def test_what_is_not_beyond_doubt_is_no_column(claim: str) -> None:
    assert published(results_of(f"# Claim: {claim}\n{DSD}")) == []


def test_a_line_that_two_arms_have_is_in_doubt() -> None:
    claim = "# Claim: error 3 dense, 2 sparse, 1 DSD.\n"
    arms = "fork { x: { sparse 50%; dense }\n y: { sparse 25%; dense } }"
    assert published(results_of(f"{claim}{DSD}")) != []
    assert published(results_of(f"{claim}dense 1ep lr=0.1\n{arms}")) == []


def test_a_claim_of_another_model_is_not_taken() -> None:
    head = "# Claim, ResNet-18: error 3 dense, 2 sparse, 1 DSD.\n"
    assert published(results_of(head + DSD, model="resnet50")) == []
    assert columns(results_of(head + DSD, model="resnet18")) == {"published: error": ["3", "2", "1", ""]}
