"""The named faults of `tools/mutation` can still be written, and the tests that notice them are there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tools" / "mutation"))

from faults import Edit, Fault, failed_test, faulty_files, read_faults  # noqa: E402
from trial import Verdict  # noqa: E402

FAULTS = read_faults()


def test_each_is_named_once() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) > 100


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_written_and_is_python(fault: Fault) -> None:
    """`before` stands once in the file, and what stands there with the fault is another program."""
    for file, content in faulty_files(fault, REPOSITORY).items():
        assert content != (REPOSITORY / file).read_bytes()
        compile(content, file, "exec")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_must_notice_a_fault_is_there(fault: Fault) -> None:
    assert fault.tests
    for test in fault.tests:
        file, _, name = test.partition("::")
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert not name or f"def {name.partition('[')[0]}(" in text


@pytest.mark.parametrize("before", ["three", "one"])
def test_a_text_that_is_not_there_exactly_once_is_refused(tmp_path: Path, before: str) -> None:
    (tmp_path / "a.py").write_text("one two one")
    edits = (Edit("a.py", "two", "2"), Edit("a.py", before, "4"))
    with pytest.raises(ValueError, match=rf"stands {'one two one'.count(before)} times in a.py, not once"):
        faulty_files(Fault("a fault", edits, ("tests/a.py",)), tmp_path)
    assert faulty_files(Fault("a fault", edits[:1], ("tests/a.py",)), tmp_path) == {"a.py": b"one 2 one"}


def test_a_test_that_failed_is_told_from_one_that_did_not_run() -> None:
    said = "E   x\nFAILED tests/a.py::test_b[c d] - AssertionError: - no\n1 failed in 0.1s"
    assert failed_test(Verdict("caught", 1.0, said)) == "tests/a.py::test_b[c d]"
    assert failed_test(Verdict("caught", 1.0, "ERROR: file or directory not found: tests/a.py")) is None
    assert failed_test(Verdict("caught", 1.0, "5 deselected in 0.1s")) is None
