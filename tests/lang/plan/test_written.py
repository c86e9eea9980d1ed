"""Plans are written by a writer of their own: what it writes is what pydantic and `json` say of the same plan."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.plan import Plan
from dsd_lang.plan.written import as_data

SCHEDULES = sorted((Path(__file__).resolve().parents[3] / "schedules").glob("*.dsd"))
ODD = (
    'dense 5ep lr=.1; sparse 50% layers="é\U0001f600.*" 5ep; dense',
    "dense 5ep lr=.1; fork seeds=3 { a: sparse 50%->90% 5ep opt=adam wd=0\n b: sparse [fc: 2:4, conv: 30%] }",
    "dense 5ep lr=.1; repeat 3 until val.loss < 1 { sparse 20% of=remaining until not val.loss < 1\n dense }",
)


@pytest.mark.parametrize("schedule", [*SCHEDULES, *ODD, ""], ids=lambda one: getattr(one, "stem", None))
def test_a_written_plan_is_what_json_writes_and_reads_back(schedule: Path | str) -> None:
    plan = dsd_lang.compile(schedule) if isinstance(schedule, str) else dsd_lang.compile_file(schedule)
    data = as_data(plan)
    assert plan.model_dump(mode="json") == data
    assert plan.to_json() == json.dumps(data, indent=2, ensure_ascii=False)
    assert plan.to_json(indent=None) == json.dumps(data, ensure_ascii=False)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_plan_of_very_many_seeds_is_written_in_a_moment() -> None:
    plan = dsd_lang.compile("dense 5ep lr=.1; fork seeds=9999 { a: sparse 50% 5ep }")
    start = time.process_time()
    assert len(plan.to_json()) > 7_000_000
    assert time.process_time() - start < 1.5  # 0.2 s; asked part by part, 1.2 s on a quiet machine
