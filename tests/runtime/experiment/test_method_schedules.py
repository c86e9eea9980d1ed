"""The schedules of methods in `schedules/` train on digits, with short lengths by `--set`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from dsd_runtime import Results, run

FOLDER = Path(__file__).resolve().parents[3] / "schedules"
SHORT = {"length": "4it", "batch": 60}
FOUND: dict[str, tuple[dict[str, Any], list[tuple[str, float]]]] = {
    "rigl": ({**SHORT, "start": "1it", "every": "1it", "lr": 0.05}, [("sparse", 0.8)]),
    "set": ({**SHORT, "every": "2it"}, [("sparse", 0.968)]),
    "iht": ({**SHORT, "start": "4it"}, [("dense", 0), *[("sparse", 0.5), ("dense", 0)] * 3, ("sparse", 0.5)]),
    "cyclical": ({**SHORT, "start": "4it", "every": "1it"}, [("dense", 0), *[("sparse", 0.9)] * 4]),
    "n_of_m": ({**SHORT, "again": "4it"}, [("dense", 0), ("sparse", 0.5), ("dense", 0)]),
    "spdf": ({**SHORT, "start": "1it"}, [("sparse", 0.75)]),
}


def trained(name: str, out: Path, settings: dict[str, Any], **how: Any) -> Results:
    schedule = FOLDER / f"{name}.dsd"
    return run(schedule, model="lenet_300_100", data="digits", out=str(out), set=settings, progress="none", **how)


@pytest.mark.parametrize("name", FOUND)
def test_a_method_trains(name: str, tmp_path: Path) -> None:
    settings, expected = FOUND[name]
    phases = trained(name, tmp_path, settings).phases
    assert [phase.mode for phase in phases] == [mode for mode, _ in expected]
    assert [phase.sparsity for phase in phases] == pytest.approx([share for _, share in expected], abs=1e-3)


def test_acdc_trains(tmp_path: Path) -> None:
    phases = trained("acdc", tmp_path, {"batch": 60, "lr": 0.05}, scale="0.02").phases
    assert [phase.mode for phase in phases] == ["dense", *["sparse", "dense"] * 7, "sparse"]
    assert {phase.sparsity for phase in phases if phase.mode == "sparse"} == {0.9}


def test_a_sparse_network_is_fine_tuned_dense_and_sparse(tmp_path: Path) -> None:
    """SPDF's second half, and sparse transfer: both from the file of another run."""
    settings, _ = FOUND["spdf"]
    trained("spdf", tmp_path / "first", settings)
    pretrained = str(tmp_path / "first" / "final.safetensors")
    dense = trained("spdf_finetune", tmp_path / "dense", {**SHORT, "pretrained": f'"{pretrained}"'})
    assert [phase.sparsity for phase in dense.phases] == [0]
    sparse = trained("sparse_transfer", tmp_path / "sparse", {**SHORT, "pruned": f'"{pretrained}"'})
    assert [phase.sparsity for phase in sparse.phases] == pytest.approx([0.75], abs=1e-3)
    after = load_file(tmp_path / "sparse" / "final.safetensors")
    assert all(not after[key][value == 0].any() for key, value in load_file(pretrained).items() if value.dim() > 1)


def test_the_metrics_say_how_many_weights_moved(tmp_path: Path) -> None:
    settings, _ = FOUND["rigl"]
    trained("rigl", tmp_path, settings)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    moved = {line["update"]: line["value"] for line in lines if line["name"] == "masks.moved"}
    assert list(moved) == [2, 3, 4]
    assert all(count > 0 for count in list(moved.values())[:2])
