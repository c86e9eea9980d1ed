"""What a run leaves for TensorBoard: scalars by line, weights on both sides of boundaries, graph, hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import DSD, Run

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def _read(folder: Path) -> Any:
    accumulator = event_accumulator.EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def test_scalars_histograms_and_texts(dsd_run: Run) -> None:
    outcome = dsd_run(DSD)
    main = _read(outcome.folder / "events" / "main")
    tags = main.Tags()
    assert {"train/loss", "train/lr", "train/pass_loss", "val/loss", "val/err", "test/err", "sparsity/total"} <= set(
        tags["scalars"]
    )
    sparsity = {round(event.value, 3) for event in main.Scalars("sparsity/total")}
    assert sparsity == {0.0, 0.5}
    sides = [tag for tag in tags["histograms"] if tag.startswith("boundary_s/")]
    assert len(sides) == 6
    weight = sides[0].rsplit("/", 1)[0]
    before, after = (main.Histograms(f"{weight}/{side}")[0].histogram_value for side in ("before", "after"))
    assert before.num == after.num
    middle = max(range(len(after.bucket)), key=lambda index: after.bucket[index])
    assert after.bucket[middle] >= 0.5 * after.num > before.bucket[middle]
    assert any(tag.startswith("plan/graph") for tag in tags["tensors"])
    assert (outcome.folder / "events" / "main" / "hparams").is_dir()


def test_each_branch_has_its_own_line(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05\nfork {\n  a: sparse 50% 1ep\n  b: dense 1ep\n}")
    names = {path.name for path in (outcome.folder / "events").iterdir()}
    assert names == {"main", "a", "b"}
    steps = [event.step for event in _read(outcome.folder / "events" / "a").Scalars("val/loss")]
    assert steps == [42]


def test_a_run_that_is_started_again_shows_each_point_once(dsd_run: Run) -> None:
    """What a retrained phase wrote before is purged; the end of the phase before it, at the same step, stays."""
    dsd_run(DSD)
    outcome = dsd_run(DSD.replace("d1: dense 2ep", "d1: dense 3ep"))
    steps = [event.step for event in _read(outcome.folder / "events" / "main").Scalars("val/loss")]
    assert steps == [21 * epoch for epoch in range(1, 8)]
    outcome = dsd_run(DSD.replace("lr=0.05", "lr=0.04"))
    steps = [event.step for event in _read(outcome.folder / "events" / "main").Scalars("val/loss")]
    assert steps == [21 * epoch for epoch in range(1, 7)]


def test_a_branch_called_main(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05\nfork { main: sparse 50% 1ep\n b: dense 1ep }")
    assert {path.name for path in (outcome.folder / "events").iterdir()} == {"main", "branch_main", "b"}
