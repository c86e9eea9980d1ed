"""`torchrun -m dsd_runtime`: several processes train one network, with the batches, masks and files of one process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from several_ranks import LOOPBACK

from dsd_runtime.cli import main
from dsd_runtime.masks.store import unpacked
from dsd_runtime.storage.checkpoint import load_checkpoint

TEXT = "a: dense 1ep lr=0.1\ns: sparse 0->60% ramp=linear every=4it 1ep restart=none\n".replace(" restart=none", "")
FLAGS = ("--data", "digits", "--set", "batch=200", "--set", "opt=sgd(momentum=0.9)", "--progress", "plain",
         "--device", "cpu", "--threads", "1")  # fmt: skip
"""1,077 samples in batches of 200: the last batch has 77, an odd number."""


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    path = tmp_path / "tree.dsd"
    path.write_text(TEXT)
    return path


@pytest.fixture
def own_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def _environment(**more: str) -> dict[str, str]:
    python_path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(__file__).parent)])
    own = {"PYTHONPATH": python_path, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": LOOPBACK, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own, **more}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def started(count: int, *arguments: str) -> list[subprocess.Popen[str]]:
    """The processes that `torchrun` would start, without waiting for its own start."""
    port = _free_port()
    command = [sys.executable, "-m", "dsd_runtime", *arguments]
    return [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=_environment(RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank),
                             MASTER_ADDR="127.0.0.1", MASTER_PORT=port),
        )
        for rank in range(count)
    ]  # fmt: skip


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    texts = [process.communicate(timeout=120) for process in processes]
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def trained(count: int, *arguments: str) -> None:
    outcomes = ended(started(count, *arguments))
    assert [code for code, _, _ in outcomes] == [0] * count, outcomes
    for _, out, err in outcomes[1:]:
        of_torch = [line for line in err.splitlines() if line.startswith("[rank")]  # what its compiler logs
        assert out == "", "only the first process speaks"
        assert len(of_torch) == len(err.splitlines()), err


def alone(*arguments: str) -> None:
    assert main(list(arguments)) == 0


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "final.safetensors")


def masks(folder: Path) -> dict[str, Any]:
    """The masks at the end of the last node."""
    manifest = json.loads((folder / "manifest.json").read_text())
    end = next((folder / "checkpoints" / list(manifest["nodes"].values())[-1]).glob("end-*"))
    parts = load_checkpoint(end, ["session", "weights"])
    stored = parts["session"]["boundary"]["masks"]
    return {name: unpacked(mask, parts["weights"][name].shape) for name, mask in stored.items()}


def assert_close(folder: Path, expected: Path) -> None:
    """Sums of gradients in another order round otherwise; after a dozen updates masks may differ by a weight or two."""
    for name, value in weights(expected).items():
        near = torch.isclose(weights(folder)[name], value, atol=1e-4, rtol=1e-4)
        assert int((~near).sum()) <= 4, name
    for name, bits in masks(expected).items():
        assert int((masks(folder)[name] != bits).sum()) <= 2


def test_two_processes_train_what_one_does(
    schedule: Path, tmp_path: Path, own_models: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same samples, dropout by sample, an uneven last batch; one process goes on where two have ended."""
    model = ("--model", "torchrun_models:dropping", *FLAGS)
    trained(2, str(schedule), *model, "--out", str(tmp_path / "two"))
    alone(str(schedule), *model, "--out", str(tmp_path / "one"))
    assert_close(tmp_path / "two", tmp_path / "one")
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert manifest["processes"] == {
        "count": 2,
        "weights": "copied (DDP)",
        "batch_norm": "over the samples of each process",
    }
    schedule.write_text(f"{TEXT}dense 1ep\n")
    capsys.readouterr()
    alone(str(schedule), *model, "--out", str(tmp_path / "two"), "--json")
    phases = json.loads(capsys.readouterr().out)["phases"]
    assert [phase["state"] for phase in phases] == ["reused", "reused", "trained"]


TAUGHT = "t: dense 3it lr=1e-2\ns: sparse 50% 3it lr=1e-2 distill=@t(alpha=0.5, T=2)\n"
TASKS = {
    "captions": ("--model", "neuraltalk:hidden=16", "--data", "scenes", "--set", "batch=9"),
    "speech": ("--model", "ds1:hidden=16,dropout=0.3", "--data", "spoken", "--set", "batch=5"),
    "pictures": ("--model", "lenet_300_100", "--data", "digits", "--set", "batch=33"),
    "compiled": ("--model", "lenet_300_100", "--data", "digits", "--set", "batch=33", "--compile"),
}


def _slow(task: str, *flags: str) -> Any:
    return pytest.param(task, flags, marks=pytest.mark.slow, id=f"{task}{''.join(flags)}")


@pytest.mark.parametrize(
    ("task", "flags"),
    [pytest.param("captions", (), id="captions"), *(_slow(task, "--shard") for task in TASKS),
     *(_slow(task) for task in TASKS if task != "captions")],
)  # fmt: skip
def test_every_task_is_taught_by_two_processes_as_by_one(
    schedule: Path, tmp_path: Path, task: str, flags: tuple[str, ...]
) -> None:
    """With dropout by sample, of packed frames and words too, a teacher, and odd batches."""
    schedule.write_text(TAUGHT)
    command = (str(schedule), *TASKS[task], "--device", "cpu", "--threads", "1", "--progress", "plain",
               "--set", "opt=sgd(momentum=0.9)")  # fmt: skip
    trained(2, *command, *flags, "--out", str(tmp_path / "two"))
    alone(*command, "--out", str(tmp_path / "one"))
    assert_close(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("flags", [(), ("--shard",)], ids=["ddp", "fsdp2"])
def test_three_processes_are_stopped_and_two_go_on(schedule: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """SIGTERM to all of them saves the progress; another number of processes continues it."""
    schedule.write_text("a: dense 60ep lr=0.01\ns: sparse 50% 2ep\nd: dense 1ep restore=saved\n")
    command = (str(schedule), "--model", "torchrun_models:dropping", *FLAGS, "--out", str(tmp_path / "run"), *flags)
    processes = started(3, *command)
    assert processes[0].stderr is not None
    for line in processes[0].stderr:
        if "epoch 3 " in line:
            break
    for process in processes:
        process.terminate()
    outcomes = ended(processes)
    assert [code for code, _, _ in outcomes] == [143] * 3, outcomes
    assert "the progress is in" in outcomes[0][2]
    trained(2, *command)
    alone(str(schedule), "--model", "torchrun_models:dropping", *FLAGS, "--out", str(tmp_path / "one"))
    found, expected = weights(tmp_path / "run"), weights(tmp_path / "one")
    assert all(torch.allclose(found[name], value, atol=0.05) for name, value in expected.items())


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
def test_a_killed_process_ends_the_others_with_a_sentence(schedule: Path, tmp_path: Path) -> None:
    """Under torchrun itself; then one process finishes the run."""
    schedule.write_text("a: dense 60ep lr=0.01\n")
    command = (str(schedule), "--model", "torchrun_models:dropping", *FLAGS, "--out", str(tmp_path / "run"),
               "--save-every", "0.01")  # fmt: skip
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1",
                "--master-port", _free_port(), "-m", "dsd_runtime")  # fmt: skip
    process = subprocess.Popen([*launcher, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=_environment())  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 3 " in line:
            break
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    os.kill(int(workers.split()[-1]), signal.SIGKILL)
    begun = time.monotonic()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.count("error: another process of this run has ended") == 1, err
    assert time.monotonic() - begun < 60
    alone(*command)


@pytest.mark.parametrize("flags", [(), pytest.param(("--shard",), marks=pytest.mark.slow)], ids=["ddp", "fsdp2"])
def test_a_failed_branch_leaves_the_others_alone(schedule: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """All processes know of a loss that is not finite: they go on with the next branch, which starts from the trunk."""
    schedule.write_text("a: dense 1ep lr=0.1\nfork {\n  bad: { b: dense 1ep lr=1e30\n c: dense 1ep }\n"
                        "  good: sparse 50% 1ep\n}\n")  # fmt: skip
    command = (str(schedule), "--model", "lenet_300_100", *FLAGS, "--out", str(tmp_path / "run"), *flags)
    outcomes = ended(started(2, *command))
    assert outcomes[0][0] == 1, outcomes
    assert outcomes[0][2].count("error: ") == 1
    assert "warning: bad/b failed (and 1 after it): " in outcomes[0][2]
    assert outcomes[1] == (0, "", "")
    assert [path.stem for path in (tmp_path / "run" / "branches").iterdir()] == ["good"]


@pytest.mark.slow
def test_an_exception_in_one_process_is_told_once(schedule: Path, tmp_path: Path) -> None:
    outcomes = ended(started(2, str(schedule), "--model", "torchrun_models:failing", *FLAGS, "--out", str(tmp_path)))
    assert [code for code, _, _ in outcomes] == [1, 1]
    told = "".join(err for _, _, err in outcomes)
    assert "a bug of the user" in told
    assert "another process of this run has ended" not in told


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
def test_synced_batch_norm_is_that_of_the_whole_batch(schedule: Path, tmp_path: Path) -> None:
    command = (str(schedule), "--model", "torchrun_models:normed", *FLAGS)
    alone(*command, "--out", str(tmp_path / "one"))
    trained(3, *command, "--out", str(tmp_path / "three"), "--sync-batchnorm")
    for name, value in weights(tmp_path / "one").items():
        assert torch.allclose(weights(tmp_path / "three")[name].double(), value.double(), atol=2e-3), name


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (("--shard",), {}, "`--shard` needs several processes"),
        (("--sync-batchnorm",), {}, "`--sync-batchnorm` needs several processes"),
        (("--jobs", "2"), {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"},
         "`--jobs` trains phases side by side, and torchrun's processes train each phase together"),
    ],
)  # fmt: skip
def test_flags_that_need_another_number_of_processes(
    schedule: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...], environment: dict[str, str], said: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([str(schedule), "--model", "lenet_300_100", *flags]) == 2
    assert said in capsys.readouterr().err
