"""Where a node is trained changes no number: this process, workers, a cluster, two commands on one folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import Membership

SCHEDULE = """
base: dense 1ep lr=0.05
sweep s in 30%, 60%, 90% {
  sparse s 1ep
  dense 1ep state=reset
}
last: dense 1ep restore=@base.end
repeat 3 until gain(val.err) < 0.5 { sparse 50% 1ep; dense 1ep }
"""
NODES = ("weights.safetensors", "session.safetensors", "session.json")


def _command(schedule: Path, folder: Path, *flags: str) -> list[str]:
    basic = ["--model", "lenet_300_100", "--device", "cpu", "--progress", "plain", "--save-every", "0.05"]
    return [sys.executable, "-m", "dsd_runtime", str(schedule), *basic, "--out", str(folder), *flags]


@pytest.fixture
def environment(repository: Path) -> dict[str, str]:
    path = os.pathsep.join([str(repository), str(repository / "runtime"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    path = tmp_path / "tree.dsd"
    path.write_text(SCHEDULE)
    return path


def _hashes(folder: Path) -> dict[str, list[str]]:
    """The sha256 of every node's weights, masks, optimizer state and clocks."""
    found = {}
    for end in folder.glob("checkpoints/*/end-*"):
        files = [end / name for name in NODES if (end / name).is_file()]
        found[f"{end.parent.name}/{end.name}"] = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return found


def _without_times(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["name"] != "seconds"]


def _leftovers(folder: Path) -> list[str]:
    patterns = ("attempt-*", "complete-*", ".writing-*", "*.lock", "stop-*")
    return [str(path) for pattern in patterns for path in folder.rglob(pattern)]


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.slow  # five commands that load torch; `.ci/run` runs it
def test_two_workers_and_two_commands_end_with_the_numbers_of_one_process(
    schedule: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    alone = tmp_path / "alone"
    _run(_command(schedule, alone), environment)
    expected = _hashes(alone)
    assert len(expected) >= 10

    told = _run(_command(schedule, tmp_path / "jobs", "--jobs", "2"), environment)
    assert _hashes(tmp_path / "jobs") == expected
    assert _without_times(tmp_path / "jobs") == _without_times(alone), "in the order of the plan"
    assert "s=30%/p1: finished in" in told
    assert _leftovers(tmp_path / "jobs") == []

    shared = tmp_path / "shared"
    with Membership(RunFolder(shared).leases).alone():  # both wait for their turn to claim the folder
        pair = [
            subprocess.Popen(_command(schedule, shared), env=environment, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
            for _ in range(2)
        ]  # fmt: skip
        heads = [_read_line(process) for process in pair]
    assert all(head.startswith("model ") for head in heads), heads
    texts = [process.stdout.read() for process in pair if process.stdout is not None]
    for process in pair:
        process.wait()
    assert [process.returncode for process in pair] == [0, 0], "\n".join(texts)
    assert _hashes(shared) == expected
    assert _without_times(shared) == _without_times(alone)
    assert sum("and this one joins in" in text for text in texts) == 1
    assert _leftovers(shared) == []


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [["--ray", "local"], ["--slurm", "local"]], ids=["ray", "slurm"])
def test_a_cluster_ends_with_the_numbers_of_one_process(
    schedule: Path, tmp_path: Path, environment: dict[str, str], cluster: list[str]
) -> None:
    pytest.importorskip({"--ray": "ray", "--slurm": "submitit"}[cluster[0]], reason="the extra is not installed")
    _run(_command(schedule, tmp_path / "alone"), environment)
    _run(_command(schedule, tmp_path / "cluster", *cluster), environment)
    assert _hashes(tmp_path / "cluster") == _hashes(tmp_path / "alone")


def _descendants(ancestor: int) -> list[tuple[int, str]]:
    """The processes that a process has begun, directly or not, with their titles."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().partition(b"\0")[0].decode()
    found, added = {ancestor}, {ancestor}
    while added:
        added = {process for process, parent in parents.items() if parent in added}
        found |= added
    return [(process, titles[process]) for process in found if process in titles]


def _kill_who_trains(command: subprocess.Popen[str]) -> None:
    """Kills a worker of Ray that has a task."""
    while command.poll() is None:
        for process, title in _descendants(command.pid):
            if title.startswith("ray::train_for_another"):
                os.kill(process, signal.SIGKILL)
                return
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the workers are found in /proc")
def test_a_phase_whose_ray_worker_was_killed_goes_on_with_the_same_numbers(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    pytest.importorskip("ray", reason="the extra is not installed")
    schedule = tmp_path / "long.dsd"
    schedule.write_text("base: dense 1ep lr=0.05\nfork { a: sparse 50% 30ep; b: dense 30ep }")
    _run(_command(schedule, tmp_path / "alone"), environment)
    folder = tmp_path / "cluster"
    command = subprocess.Popen(_command(schedule, folder, "--ray", "local"), env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
    while command.poll() is None and not list(folder.rglob("progress-*")):
        time.sleep(0.02)
    _kill_who_trains(command)
    told = command.communicate()[0]
    assert command.returncode == 0, told
    assert "note: a worker of Ray was lost; phase `" in told
    assert _hashes(folder) == _hashes(tmp_path / "alone")
    assert _leftovers(folder) == []


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the workers are found in /proc")
def test_a_phase_whose_ray_workers_are_all_killed_fails_with_one_sentence(
    schedule: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    pytest.importorskip("ray", reason="the extra is not installed")
    command = subprocess.Popen(_command(schedule, tmp_path / "cluster", "--ray", "local"), env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    while command.poll() is None:
        _kill_who_trains(command)
        time.sleep(0.1)
    told = command.communicate()[0]
    assert command.returncode == 1, told
    assert "error: phase `p0`: 3 workers of Ray in turn were lost" in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_a_process_that_stood_still_finds_its_work_done(
    schedule: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    _run(_command(schedule, tmp_path / "alone"), environment)
    shared = tmp_path / "shared"
    short = "import sys; from dsd_runtime.experiment import leases; leases.LEASE_SECONDS = 1.5; "
    program = short + "from dsd_runtime.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, *_command(schedule, shared)[3:]]
    slow = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert slow.stdout is not None
    for line in slow.stdout:
        if "sparse, 21 updates" in line:
            break
    slow.send_signal(signal.SIGSTOP)
    try:
        _run(command, environment)
        finished = _hashes(shared)
    finally:
        slow.send_signal(signal.SIGCONT)
    told = slow.communicate()[0]
    assert slow.returncode == 0, told
    assert finished == _hashes(shared) == _hashes(tmp_path / "alone")
    assert _leftovers(shared) == []


def _workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a run has started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == process.pid:
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _kill_at_random(command: list[str], environment: dict[str, str], draws: random.Random, *, everything: bool) -> int:
    """Runs to the end, while workers (or the whole run, which is then started again) are killed now and then."""
    kills = 0
    while True:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        is_killed, told = False, list[str]()
        for line in process.stderr:
            told.append(line)
            if "updates, lr" not in line or kills == 2 or draws.random() > 0.4:
                continue  # a phase whose workers are lost three times in turn is given up
            time.sleep(draws.uniform(0.0, 0.2))
            victims = [process.pid] if everything else draws.sample(_workers_of(process), 1)
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
                kills += 1
            is_killed = everything
            if is_killed:
                break
        process.communicate()
        if not is_killed:
            assert process.returncode == 0, "".join(told)
            return kills


@pytest.mark.slow  # several minutes: every lost worker loads torch again
@pytest.mark.parametrize("everything", [False, True], ids=["workers", "the run"])
def test_kills_at_random_moments_change_nothing(
    schedule: Path, tmp_path: Path, environment: dict[str, str], everything: bool
) -> None:
    _run(_command(schedule, tmp_path / "alone"), environment)
    expected, draws, kills, trial = _hashes(tmp_path / "alone"), random.Random(5), 0, 0
    while kills < 25:
        folder = tmp_path / f"killed{trial}"
        kills += _kill_at_random(_command(schedule, folder, "--jobs", "2"), environment, draws, everything=everything)
        assert _hashes(folder) == expected, f"trial {trial}"
        assert _leftovers(folder) == []
        trial += 1
