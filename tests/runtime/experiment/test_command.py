"""Every way `dsd-run` can end: one clear sentence, the right exit code, nothing lost."""

from __future__ import annotations

import errno
import signal
from pathlib import Path
from typing import Any

import pytest

from dsd_runtime.experiment import leases, line
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import Membership

from .conftest import DSD, SMALL, Outcome, Run, stopping_after


def _is_one_sentence(outcome: Outcome) -> bool:
    return "Traceback" not in outcome.err and outcome.err.count("error: ") == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--model", "lenet_300_10"), "did you mean `lenet_300_100`"),
        (("--model", "no.such:thing"), "no.such"),
        (("--data", "digit"), "did you mean `digits`"),
        (("--data", "manifest"), "needs a path"),
        (("--scale", "much"), "is not a number"),
        (("--scale", "-1"), "is not positive"),
        (("--set", "lr"), "is not KEY=VALUE"),
        (("--data", "spoken"), "classification"),
        (("--device", "cuda"), "CUDA"),
        (("--workers", "-1"), "below 0"),
        (("--save-every", "0"), "not above 0"),
        (("--save-every", "nan"), "not above 0"),
        (("--seed", "-1"), "below 0"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_sentence(dsd_run: Run, flags: tuple[str, ...], words: str) -> None:
    import torch

    if "cuda" in flags and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    outcome = dsd_run(DSD, *flags)
    assert outcome.code == 2
    assert words in outcome.err
    assert _is_one_sentence(outcome)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dense 5ep sparse 0.5", "DSD102"),
        ("dense 50", "DSD402"),
        ("dense 1ep\nsparse 0.5 layers=conv", "this model has: fc (3)"),
        ("dense 1ep\nsparse 2:4 update=rigl(every=5it) 1ep", "DSD212"),
        (
            "dense 1ep\ndense 1ep distill=@init(alpha=0.5)\nsparse 50% enforce=ste update=set(drop=30%, every=5it) 1ep",
            "DSD212",
        ),
        ("dense 1ep lr=1e30", "the loss is"),
        ("dense 1ep dropout=0.5", "no dropout layer"),
        ("", "has no phase"),
        ("# nothing but words\nset lr=0.1", "has no phase"),
    ],
)
def test_a_failed_schedule_or_run_ends_with_1_and_one_sentence(dsd_run: Run, text: str, words: str) -> None:
    outcome = dsd_run(text)
    assert outcome.code == 1
    assert words in outcome.err
    assert _is_one_sentence(outcome)


def test_a_missing_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dsd_runtime.cli import main

    (tmp_path / "file").write_text("")
    absent = tmp_path / "absent.dsd"
    for path, why in ((absent, "no such file"), (tmp_path / "file" / "a.dsd", "not a directory")):
        assert main([str(path), *SMALL]) == 2
        told = capsys.readouterr().err
        assert f"`{path}` cannot be read: {why}" in told.lower()


def test_resume_needs_a_run_and_an_unchanged_past(dsd_run: Run) -> None:
    absent = dsd_run(DSD, "--resume")
    assert absent.code == 1
    assert "no run to resume" in absent.err
    dsd_run(DSD)
    assert dsd_run(DSD, "--resume").states() == ["reused"] * 3
    changed = dsd_run(DSD.replace("sparse 50%", "sparse 60%"), "--resume")
    assert changed.code == 1
    assert "0.5" in changed.err
    assert "0.6" in changed.err
    assert dsd_run(DSD.replace("sparse 50%", "sparse 60%")).states() == ["reused", "trained", "trained"]


def test_fresh_starts_again(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    again = dsd_run(DSD, "--fresh")
    assert again.states() == ["trained"] * 3
    assert again.weights() == first.weights()


def test_a_second_process_joins_in_or_is_refused(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It joins those who train the same; what would change the folder under their hands is refused."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.5)
    first = dsd_run(DSD)
    with Membership(RunFolder(first.folder).leases).joined():
        joined = dsd_run(DSD)
        assert joined.states() == ["reused"] * 3
        assert "note: another process trains in `" in joined.err
        assert "and this one joins in" in joined.err
        for refused in (dsd_run(DSD + "dense 1ep"), dsd_run(DSD, "--fresh")):
            assert refused.code == 1
            assert "error: another process is training" in refused.err
            assert _is_one_sentence(refused)
    assert first.weights() == dsd_run(DSD).weights()


@pytest.mark.parametrize("after", [1, 7, 30, 55])
def test_a_stop_saves_and_the_same_command_goes_on_bit_identically(dsd_run: Run, after: int) -> None:
    whole = dsd_run(DSD, out="whole")
    with stopping_after(after + 1):
        stopped = dsd_run(DSD)
    assert stopped.code == 143
    assert "the same command" in stopped.err
    outcome = dsd_run(DSD)
    assert outcome.code == 0
    assert outcome.weights() == whole.weights()
    assert [phase["metrics"] for phase in outcome.result["phases"]] == [
        pytest.approx(phase["metrics"]) for phase in whole.result["phases"]
    ]
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_callers_own_handling_of_signals_is_given_back(dsd_run: Run, number: signal.Signals) -> None:
    received: list[int] = []
    before = signal.signal(number, lambda number, _: received.append(number))
    try:
        assert dsd_run("dense 1it lr=0.05").code == 0
        signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert received == [number]


def test_a_full_disk_loses_nothing(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dsd_run(DSD, out="whole")
    real: Any = line.save_checkpoint
    calls = iter(range(100))

    def full_at_the_second(*arguments: Any, **named: Any) -> None:
        if next(calls) == 1:
            with monkeypatch.context() as inner:
                inner.setattr("dsd_runtime.storage.tensor_files.save_file", _no_space)
                real(*arguments, **named)
        real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(line, "save_checkpoint", full_at_the_second)
        failed = dsd_run(DSD)
    assert failed.code == 1
    assert "the disk is full" in failed.err
    assert _is_one_sentence(failed)
    assert not list(failed.folder.rglob(".writing-*"))
    outcome = dsd_run(DSD)
    assert outcome.states() == ["reused", "trained", "trained"]
    assert outcome.weights() == whole.weights()


def _no_space(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_damaged_checkpoint_names_its_file(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    node = first.result["phases"][1]["node"]
    file = next((first.folder / "checkpoints" / node).glob("end-*")) / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    outcome = dsd_run(DSD.replace("d1: dense 2ep", "d1: dense 3ep"))
    assert outcome.code == 1
    assert "is damaged" in outcome.err
    assert node in outcome.err


def test_an_out_that_is_a_file_or_cannot_be_written(dsd_run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in ("file", "file/below"):
        outcome = dsd_run(DSD, out=out)
        assert outcome.code == 1
        assert "cannot write" in outcome.err
        assert _is_one_sentence(outcome)
    wrong = dsd_run(DSD, "--dry-run", "--write-layers", str(tmp_path / "file" / "layers.json"))
    assert wrong.code == 1
    assert _is_one_sentence(wrong)


def test_a_failure_of_the_machine_is_one_sentence(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from dsd_runtime.experiment.runner import Runner

    failures = [
        (torch.OutOfMemoryError("CUDA out of memory"), "the device is out of memory"),
        (MemoryError(), "the machine is out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "the machine is out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "events"), "the disk is full"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.flac"), "cannot use `a.flac`"),
    ]
    for failure, words in failures:

        def fails(self: Runner, error: Exception = failure) -> None:
            raise error

        monkeypatch.setattr(Runner, "run", fails)
        outcome = dsd_run(DSD)
        assert outcome.code == 1
        assert words in outcome.err
        assert _is_one_sentence(outcome)


def test_the_json_is_all_there_is_on_stdout(dsd_run: Run) -> None:
    import json

    for flags in ((), ("--dry-run",), ("--dry-run", "--fresh")):
        outcome = dsd_run(DSD, *flags)
        assert json.loads(outcome.out) == outcome.result != {}
        assert ("model   lenet_300_100" in outcome.err) == (not flags), "a dry run's table is in the JSON"
    assert [row["state"] for row in outcome.result["phases"]] == ["to train"] * 3, "--fresh would train all"
    assert outcome.result["cost"]["updates_left"] == 6 * 21


def test_set_seed_is_seed_and_the_flag_wins(dsd_run: Run) -> None:
    by_set = dsd_run("set seed=3\ndense 1ep lr=0.05", out="set").weights()
    assert dsd_run("dense 1ep lr=0.05", "--seed", "3", out="flag").weights() == by_set
    assert dsd_run("set seed=1\ndense 1ep lr=0.05", "--seed", "3", out="both").weights() == by_set
    assert dsd_run("dense 1ep lr=0.05", "--workers", "2", "--seed", "3", out="workers").weights() == by_set


def test_what_is_left_of_an_unfinished_node_is_what_is_estimated(dsd_run: Run) -> None:
    with stopping_after(7):
        dsd_run(DSD)
    dry = dsd_run(DSD, "--dry-run").result
    assert dry["phases"][0]["state"] == "unfinished (7it)"
    assert dry["cost"]["updates_left"] == 6 * 21 - 7
