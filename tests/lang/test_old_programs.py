"""Programs of the language's first version keep their hash: 1,000 random ones, and all schedules of 0.1.0."""

from __future__ import annotations

import json
from pathlib import Path

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.compiler import plan_of

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "programs"


def test_random_programs_keep_their_hash() -> None:
    lines = (CASES / "version_1_0.jsonl").read_text("utf-8").splitlines()
    programs = [json.loads(line) for line in lines]
    assert len(programs) == 1000
    for program in programs:
        resolved = analyse(program["text"]).resolved
        assert resolved is not None, program["text"]
        assert plan_of(resolved).hash.startswith(f"sha256:{program['hash']}"), program["text"]


def test_schedules_keep_their_hash() -> None:
    hashes = json.loads((CASES / "schedules_1_0.json").read_text("utf-8"))
    assert len(hashes) > 20
    for name, expected in hashes.items():
        assert dsd_lang.compile_file(ROOT / "schedules" / name).hash == expected, name
