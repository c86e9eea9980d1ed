"""A run folder under everything that happens to folders: links, other people's files, flipped bytes, full disks."""

from __future__ import annotations

import json
import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.progress import describe_run
from dsd_runtime.storage.durable import temporary, write_json

from .conftest import DSD, Run, stopping_after

SHORT = "a: dense 1ep lr=0.05\nsparse 50% 1ep"


def test_fresh_deletes_a_link_and_not_what_it_points_to(dsd_run: Run, tmp_path: Path) -> None:
    first = dsd_run(SHORT)
    elsewhere = tmp_path / "big-disk"
    shutil.move(first.folder / "checkpoints", elsewhere)
    (first.folder / "checkpoints").symlink_to(elsewhere)
    assert dsd_run(SHORT).states() == ["reused"] * 2
    kept = sorted(path.name for path in elsewhere.iterdir())
    again = dsd_run(SHORT, "--fresh")
    assert again.states() == ["trained"] * 2
    assert "was a link to" in again.err
    assert sorted(path.name for path in elsewhere.iterdir()) == kept
    assert not (first.folder / "checkpoints").is_symlink()
    assert dsd_run(SHORT, "--fresh").code == 0


def test_only_our_own_leftovers_are_deleted(dsd_run: Run) -> None:
    folder = dsd_run(SHORT).folder
    node = next((folder / "checkpoints").iterdir())
    theirs = [folder / ".writing-letter-1", folder / "notes" / ".writing-plan.json-1", folder / ".writing-plan.json"]
    ours = [temporary(folder / "plan.json"), temporary(node / "progress-0000000005"),
            temporary(folder / "branches" / "x.safetensors")]  # fmt: skip
    for path in (*theirs, *ours):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert dsd_run(SHORT).code == 0
    assert all(path.exists() for path in theirs)
    assert not any(path.exists() for path in ours)


@pytest.mark.parametrize("damage", [{"nodes": []}, {"setting": "fp32"}])
def test_a_manifest_whose_tables_are_none_is_damaged(dsd_run: Run, damage: dict[str, object]) -> None:
    folder = dsd_run(SHORT).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    write_json(folder / "manifest.json", {**manifest, **damage})
    outcome = dsd_run(SHORT)
    assert outcome.code == 1
    assert "manifest.json` is damaged" in outcome.err


def test_a_folder_is_made_with_those_above_it(dsd_run: Run) -> None:
    assert dsd_run("dense 1it lr=0.05", out="runs/of/today").code == 0


@pytest.mark.parametrize("flags", [(), ("--fresh",), ("--dry-run",)])
def test_a_folder_of_something_else_is_left_alone(dsd_run: Run, tmp_path: Path, flags: tuple[str, ...]) -> None:
    folder = tmp_path / "theirs"
    (folder / "events").mkdir(parents=True)
    (folder / "events" / "party.txt").write_text("saturday")
    (folder / "manifest.json").write_text('{"name": "an application"}')
    outcome = dsd_run(SHORT, *flags, out="theirs")
    assert outcome.code == 1
    assert "is not a run folder, and already contains `events`" in outcome.err
    assert (folder / "events" / "party.txt").read_text() == "saturday"
    assert json.loads((folder / "manifest.json").read_text()) == {"name": "an application"}


def test_fresh_leaves_what_a_run_does_not_write(dsd_run: Run) -> None:
    folder = dsd_run(SHORT).folder
    (folder / "notes.md").write_text("mine")
    (folder / "branches").mkdir(exist_ok=True)
    (folder / "branches" / "notes.md").write_text("mine")
    dsd_run(SHORT, "--fresh")
    assert (folder / "notes.md").read_text() == (folder / "branches" / "notes.md").read_text() == "mine"


def test_a_failed_run_leaves_no_old_weights_beside_its_plan(dsd_run: Run) -> None:
    fork = SHORT + "\nfork { x: dense 1ep\n y: dense 1ep lr=0.01 }"
    folder = dsd_run(fork).folder
    assert RunFolder(folder).line_ends()
    failed = dsd_run(SHORT.replace("sparse 50% 1ep", "dense 1ep lr=1e30"))
    assert failed.code == 1
    assert "the loss is" in failed.err
    assert RunFolder(folder).line_ends() == []
    assert dsd_run(fork).states() == ["reused"] * 4
    assert len(RunFolder(folder).line_ends()) == 3, "what was trained is still there"


def test_any_flipped_byte_is_one_sentence(dsd_run: Run, tmp_path: Path) -> None:
    """Of every JSON file of the folder; what is damaged is named, or the run goes on as if nothing had happened."""
    first = dsd_run(SHORT)
    edited = SHORT + "\ndense 1it"
    end = next((first.folder / "checkpoints" / first.result["phases"][1]["node"]).glob("end-*"))
    files = [first.folder / "manifest.json", first.folder / "plan.json", end / "checksums.json", end / "node.json"]
    for file in files:
        whole = file.read_bytes()
        for place in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 2):
            for bit in (0x01, 0x80):
                file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
                outcome = dsd_run(edited, "--dry-run")
                trained = dsd_run(edited) if outcome.code == 0 and file.parent == end else outcome
                assert "internal error" not in trained.err, (file.name, place)
                assert trained.code in (0, 1, 2), (file.name, place)
                if trained.code:
                    assert trained.err.count("error: ") == 1
                    assert file.name in trained.err or file.parent == end or "manifest.json" in trained.err
        file.write_bytes(whole)


def test_checksums_that_name_another_file_are_damaged(dsd_run: Run) -> None:
    first = dsd_run(SHORT)
    end = next((first.folder / "checkpoints" / first.result["phases"][1]["node"]).glob("end-*"))
    sums = (end / "checksums.json").read_text()
    for damaged in (sums.replace("weights.safetensors", "weights.safetensorr"), "[]", '"x"', ""):
        (end / "checksums.json").write_text(damaged)
        outcome = dsd_run(SHORT + "\ndense 1it")
        assert outcome.code == 1
        assert f"{end.name}/checksums.json` is damaged" in outcome.err
        assert "delete its folder" in outcome.err


def test_all_files_of_a_run_are_readable_by_whom_the_umask_says(dsd_run: Run) -> None:
    before = os.umask(0o027)
    try:
        folder = dsd_run(SHORT).folder
    finally:
        os.umask(before)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".safetensors", ".jsonl"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}


@pytest.mark.parametrize("limit", [100, 3_000, 50_000])
def test_a_write_that_fails_anywhere_is_one_sentence(repository: Path, tmp_path: Path, limit: int) -> None:
    """A limit on the size of a file stands for a quota: it strikes at the first file that is larger."""
    schedule = tmp_path / "a.dsd"
    schedule.write_text(SHORT)
    command = [sys.executable, "-m", "dsd_runtime", str(schedule), "--model", "lenet_300_100", "--progress", "none"]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": f"{repository}:{repository / 'runtime'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.count("error: ") == 1, ended.stderr
    assert "file too large" in ended.stderr.lower()
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "run").rglob(".writing-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(dsd_run: Run) -> None:
    folder = dsd_run(SHORT).folder
    folder.chmod(0o555)
    try:
        outcome = dsd_run(DSD)
    finally:
        folder.chmod(0o755)
    assert outcome.code == 1
    assert "could not be" in outcome.err or "cannot write" in outcome.err


def test_a_deletion_that_is_refused_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    write_json(folder.manifest, {"dsd_run": 1})

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(DsdError, match=r"could not be deleted: permission denied"):
        folder.clear()


def test_another_schedules_folder_is_refused(dsd_run: Run, tmp_path: Path) -> None:
    first = dsd_run(SHORT)
    plan = (first.folder / "plan.json").read_bytes()
    other = tmp_path / "other.dsd"

    def run_other(text: str, *flags: str) -> int:
        from dsd_runtime.cli import main

        other.write_text(text)
        base = ("--model", "lenet_300_100", "--set", "opt=sgd(momentum=0.9, nesterov=on)", "--progress", "none")
        return main([str(other), *base, "--device", "cpu", "--out", str(first.folder), *flags])

    assert run_other("dense 1ep lr=0.01") == 1
    assert run_other("dense 1ep lr=0.01", "--dry-run") == 1
    assert (first.folder / "plan.json").read_bytes() == plan
    assert run_other(SHORT + "\ndense 1ep") == 0, "a longer one under another name uses all that is there"
    assert run_other("dense 1ep lr=0.01", "--fresh") == 0


def test_the_refusal_names_both(dsd_run: Run, tmp_path: Path) -> None:
    first = dsd_run(SHORT)
    manifest = json.loads((first.folder / "manifest.json").read_text())
    write_json(first.folder / "manifest.json", {**manifest, "schedule": "theirs.dsd"})
    outcome = dsd_run("dense 1ep lr=0.01")
    assert outcome.code == 1
    assert "holds a run of `theirs.dsd`, and this is `schedule.dsd`" in outcome.err
    assert "--fresh" in outcome.err


def _labels(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return list(dict.fromkeys(line["label"] for line in lines))


def test_metrics_of_what_an_edit_took_away_wait_beside(dsd_run: Run) -> None:
    folder = dsd_run("a: dense 1ep lr=0.05\nb: dense 1ep").folder
    before = (folder / "metrics.jsonl").read_text()
    dsd_run("a: dense 1ep lr=0.05\nc: dense 1ep lr=0.01")
    assert _labels(folder) == ["a", "c"]
    dsd_run("a: dense 1ep lr=0.05\nb: dense 1ep")
    assert (folder / "metrics.jsonl").read_text() == before


def test_the_metrics_of_a_folder_of_version_0_1_are_given_to_their_nodes(dsd_run: Run) -> None:
    """It had them in two files: of the plan, and of what an edit had taken away."""
    first = dsd_run("a: dense 1ep lr=0.05\nb: dense 1ep")
    folder, nodes = first.folder, [phase["node"] for phase in first.result["phases"]]
    whole = (folder / "metrics.jsonl").read_text()
    for node in nodes:
        (folder / "checkpoints" / node / "metrics.jsonl").unlink()
    of_a = [line for line in whole.splitlines(keepends=True) if nodes[0] in line]
    (folder / "metrics.jsonl").write_text("".join(of_a) + '{"torn')
    (folder / "metrics.unused.jsonl").write_text(whole.removeprefix("".join(of_a)) + "[]\n")
    assert dsd_run("a: dense 1ep lr=0.05\nb: dense 1ep").states() == ["reused", "reused"]
    assert (folder / "metrics.jsonl").read_text() == whole
    assert not (folder / "metrics.unused.jsonl").exists()


def test_what_is_trained_can_be_asked_without_a_run(dsd_run: Run, tmp_path: Path) -> None:
    """As `dsd-plan FILE --out RUN` does."""
    plan = dsd_lang.compile("a: dense 1ep lr=0.05\nsparse 50% 1ep")
    with pytest.raises(DsdError, match="is not a run folder"):
        describe_run(plan, tmp_path)
    with stopping_after(25):
        folder = dsd_run(SHORT).folder
    plan = Plan.from_json((folder / "plan.json").read_text())
    nodes = json.loads((folder / "manifest.json").read_text())["nodes"]
    states = {"p0": "trained", "p1": "unfinished (5it)"}
    assert describe_run(plan, folder) == [(phase, state, nodes[phase]) for phase, state in states.items()]


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        (SHORT.replace("dense 1ep", "dense 2it"), "phase `a` had `duration` 1ep and now has `duration` 2it"),
        (SHORT.replace("0.05", "0.05 l1=0.001"), "phase `a` had no `l1` and now has `l1` = 1e-3"),
        ("a: dense 1ep lr=0.05", "the schedule had 2 phases and now has 1"),
    ],
)
def test_resume_says_what_has_changed(dsd_run: Run, edited: str, said: str) -> None:
    dsd_run(SHORT)
    outcome = dsd_run(edited, "--resume")
    assert outcome.code == 1
    assert said in outcome.err
    assert "undo the change" in outcome.err


def test_a_node_that_one_branch_skips_is_still_to_be_trained_in_another(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.mark_skipped("key", "early", is_skipped=True)
    assert [folder.state("key", path) for path in ("early", "late")] == ["skipped", "to train"]
    write_json(folder.skipped_mark("old"), {"phase": "p3"})  # an earlier version named no branch
    assert folder.state("old", "late") == "skipped"
