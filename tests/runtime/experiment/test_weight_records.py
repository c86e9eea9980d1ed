"""`weights.json` of a node: what it says is so, however the run was interrupted, and it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsd_runtime.experiment.weight_records import WeightRecords
from dsd_runtime.storage.checkpoint import load_checkpoint
from dsd_runtime.tracking.tracker import Sink

from .conftest import DSD, Outcome, Run, stopping_after

CYCLES = "dense 1ep lr=0.05\nsparse 50% 1ep\ndense 1ep\nsparse 30% layers=fc 1ep lr=0.01\n"


def nodes(outcome: Outcome) -> list[Path]:
    keys = json.loads((outcome.folder / "manifest.json").read_text())["nodes"]
    return [outcome.folder / "checkpoints" / key for key in keys.values()]


def records(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads((node / "weights.json").read_text()) for node in nodes(outcome)]


def at_end(node: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The weights and the masks at the end of a node, read from its checkpoint."""
    parts = load_checkpoint(next(node.glob("end-*")), ["weights", "session"])
    weights = {name: value.numpy() for name, value in parts["weights"].items() if value.dim() > 1}
    packed = parts["session"]["boundary"]["masks"].items()
    masks = {name: np.unpackbits(bits.numpy(), count=weights[name].size).astype(bool) for name, bits in packed}
    return weights, {name: mask.reshape(weights[name].shape) for name, mask in masks.items()}


def expected(values: np.ndarray, limit: float) -> dict[str, Any]:
    inside = np.clip(values[values != 0], -limit, limit)
    return {
        "weights": values.size,
        "zeros": int((values == 0).sum()),
        "mean_abs": pytest.approx(float(np.abs(values).mean(dtype=np.float64))),
        "counts": np.histogram(inside, 61, (-limit, limit))[0].tolist(),
    }


def test_both_sides_of_a_boundary_are_the_weights_there_by_the_new_mask(dsd_run: Run) -> None:
    outcome = dsd_run(DSD)
    (before, _), (after, masks), (dense, _) = map(at_end, nodes(outcome))
    told = records(outcome)
    for name, mask in masks.items():
        pruning, redense = (record["moments"] for record in told[1:])
        limit = pruning["before"][name]["limit"]
        for moment, side, values in (
            ("before", "pruned", before[name][~mask]),
            ("end", "surviving", after[name][mask]),
        ):
            assert pruning[moment][name][side] == expected(values, limit)
        assert pruning["after"][name]["pruned"]["zeros"] == (~mask).sum()
        assert redense["end"][name]["pruned"] == expected(dense[name][~mask], redense["end"][name]["limit"])
    whole = told[1]["moments"]["before"][""]["surviving"]
    assert whole["weights"] == sum(int(mask.sum()) for mask in masks.values())
    assert sum(whole["counts"]) + whole["zeros"] == whole["weights"]


def test_unpruned_weights_by_layer_and_the_overlap_with_the_sparse_phase_before(dsd_run: Run) -> None:
    outcome = dsd_run(CYCLES)
    told = records(outcome)
    _, first = at_end(nodes(outcome)[1])
    weights, second = at_end(nodes(outcome)[3])
    assert told[3]["sizes"] == {name: values.size for name, values in weights.items()}
    kept = {name: int(second[name].sum()) if name in second else values.size for name, values in weights.items()}
    assert told[3]["alive"] == kept
    both = sum(int((first[name] & mask).sum()) for name, mask in second.items())
    either = sum(int((first[name] | mask).sum()) for name, mask in second.items())
    assert told[3]["overlap"]["phase"] == "p1"
    assert told[3]["overlap"]["jaccard"] == both / either
    assert told[3]["overlap"]["by_chance"] == pytest.approx(0.35 / 0.85, abs=1e-3)  # of 0.5 and 0.7
    assert "overlap" not in told[1]


@pytest.mark.parametrize("update", [30, 50])
def test_a_run_that_was_stopped_has_the_same_records(dsd_run: Run, update: int) -> None:
    """In the sparse phase and in the dense phase that follows it."""
    text = DSD.replace("2ep", "1ep")
    whole = dsd_run(text, out="whole")
    with stopping_after(update):
        assert dsd_run(text).code != 0
    assert records(dsd_run(text)) == records(whole)


def test_a_phase_made_longer_has_the_record_of_one_so_long_at_once(dsd_run: Run) -> None:
    whole = dsd_run(DSD, out="whole")
    dsd_run(DSD.replace("d1: dense 2ep", "d1: dense 1ep"))
    longer = dsd_run(DSD)
    assert longer.states() == ["reused", "reused", "trained"]
    assert records(longer) == records(whole)


def test_it_changes_no_weight(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_records = dsd_run(DSD).weights()
    for name in ("before_boundary", "entered", "resumed", "finished"):
        monkeypatch.setattr(WeightRecords, name, getattr(Sink, name))
    without = dsd_run(DSD, out="without")
    assert not list(without.folder.glob("checkpoints/*/weights.json"))
    assert without.weights() == with_records
