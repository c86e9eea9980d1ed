"""A small schedule and a quick way to run `dsd-run` in the test's own process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from dsd_runtime.cli import main
from dsd_runtime.experiment.stopping import StopRequest
from dsd_runtime.storage.checkpoint import weights_fingerprint

DSD = "d0: dense 2ep lr=0.05\ns: sparse 50% 2ep\nd1: dense 2ep\n"
SMALL = (
    "--model",
    "lenet_300_100",
    "--set",
    "opt=sgd(momentum=0.9, nesterov=on)",
    "--progress",
    "none",
    "--device",
    "cpu",
)


@dataclass(frozen=True)
class Outcome:
    """What one call of `dsd-run` left: exit code, parsed JSON (when it succeeded), texts, the run folder."""

    code: int
    result: dict[str, Any]
    out: str
    err: str
    folder: Path

    def states(self) -> list[str]:
        return [phase["state"] for phase in self.result["phases"]]

    def weights(self, name: str = "final") -> str:
        from safetensors.torch import load_file

        return weights_fingerprint(load_file(self.folder / f"{name}.safetensors"))


Run = Callable[..., Outcome]


@contextmanager
def stopping_after(updates: int) -> Iterator[None]:
    """Within the block a run is asked to stop at the update of that number, not counting the last one of each phase."""
    asked = iter(range(1, 10_000))

    def stops_late(self: StopRequest) -> bool:
        if next(asked) == updates:
            self.signal = 15
        return self.signal is not None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopRequest, "__call__", stops_late)
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def dsd_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`dsd_run(text, *flags, out="a")`: writes the schedule, runs it with `--json`, returns the outcome."""

    def run(text: str, *flags: str, out: str = "run", base: tuple[str, ...] = SMALL) -> Outcome:
        schedule = tmp_path / "schedule.dsd"
        schedule.write_text(text)
        folder = tmp_path / out
        capsys.readouterr()
        code = main([str(schedule), *base, "--out", str(folder), "--json", *flags])
        captured = capsys.readouterr()
        result = json.loads(captured.out) if code == 0 and captured.out.strip() else {}
        return Outcome(code, result, captured.out, captured.err, folder)

    return run
