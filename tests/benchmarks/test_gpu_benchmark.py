"""`benchmarks/gpu.py` runs on the CPU at tiny sizes, so that a GPU is not needed to find its mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gpu
import pytest
import torch
from gpu_arms import WORKLOADS, Run, loops, recurrent_layers, selections

CPU = torch.device("cpu")
KINDS = frozenset({"graph"})


@pytest.mark.parametrize("workload", [WORKLOADS[0], WORKLOADS[2], WORKLOADS[4]], ids=lambda one: one.model)
def test_every_loop_trains(workload: gpu.Workload) -> None:
    arms = loops(workload.sized(is_quick=True), CPU, "fp32", kinds=KINDS)
    assert next(iter(arms)) == "plain loop"
    assert "session, sparse 50%" in arms
    for run in arms.values():
        run(), run(), run()


def test_the_layers_and_selections_run() -> None:
    arms: Mapping[str, Run] = recurrent_layers(8, 5, 2, CPU) | selections(4096, CPU, with_peers=True)
    kept = {name: run() for name, run in arms.items()}
    assert isinstance(mask := kept["dsd"], torch.Tensor)
    assert int(mask.sum()) == 2048


def test_a_table_has_ratios_to_its_first_arm_and_the_errors() -> None:
    def fails() -> None:
        raise RuntimeError("out of\nmemory")

    table = gpu.Table("Work", "images", 10, dict)
    found, errors = gpu.medians({"first": lambda: None, "second": fails}, gpu.Clock(CPU), deadline=0.0)
    assert set(found) == {"first"}
    lines = gpu.rows(table, {"first": 0.5, "other": 1.0}, errors)
    assert lines[0] == "## Work"
    assert "| first | 500 | 20 | 1.000 |" in lines
    assert "| other | 1000 | 10 | 2.000 |" in lines
    assert "| second | failed: RuntimeError: out of memory | | |" in lines


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_without_a_gpu_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 2
    assert "--device cpu --quick" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_command(tmp_path: Path) -> None:
    out = tmp_path / "result.md"
    options = ["--device", "cpu", "--quick", "--minutes", "0", "--without", "compile", "--out", str(out)]
    assert gpu.main(options) == 0
    text = out.read_text(encoding="utf-8")
    assert text.count("\n## ") == 8
    assert "failed" not in text
