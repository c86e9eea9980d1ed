"""`entropy.relu` in a run: measured where something reads it, kept by layer, read by the conditions of loops."""

from __future__ import annotations

import json

import pytest

from dsd_runtime.results.reading import read_results
from tests.runtime.experiment.conftest import Outcome, Run

LOOP = "dense 1ep lr=0.05\nrepeat 4 until {condition} {{ sparse 50% of=remaining 1ep lr=0.05 }}\n"


def entropies(outcome: Outcome) -> list[float]:
    return [phase["metrics"]["entropy.relu"] for phase in outcome.result["phases"] if phase["state"] != "skipped"]


def test_it_is_measured_only_where_something_reads_it(dsd_run: Run) -> None:
    plain = dsd_run("dense 1ep lr=0.05")
    assert "entropy.relu" not in plain.result["phases"][0]["metrics"]
    assert not list(plain.folder.glob("checkpoints/*/entropy.json"))
    compared = "fork { a: dense 1ep lr=0.05\n b: dense 1ep lr=0.1 }\ncompare a vs b on=entropy.relu\n"
    assert len(entropies(dsd_run(compared, out="compared"))) == 2


def test_a_node_that_was_trained_without_it_is_measured_and_not_trained_again(dsd_run: Run) -> None:
    fork = "fork { a: dense 1ep lr=0.05\n b: dense 1ep lr=0.1 }\n"
    dsd_run(fork)
    later = dsd_run(fork + "expect a.entropy.relu < b.entropy.relu\n")
    afresh = dsd_run(fork + "expect a.entropy.relu < b.entropy.relu\n", out="afresh")
    assert later.states() == ["reused", "reused"]
    assert entropies(later) == entropies(afresh)
    assert read_results(later.folder).expectations == read_results(afresh.folder).expectations
    assert read_results(later.folder).expectations[0].margin is not None
    assert entropies(dsd_run(fork + "expect a.entropy.relu < b.entropy.relu\n")) == entropies(afresh)
    assert later.weights("branches/b") == afresh.weights("branches/b")


def test_by_layer_in_a_file_of_the_node(dsd_run: Run) -> None:
    outcome = dsd_run(LOOP.format(condition="falling(entropy.relu, rounds=9)"))
    nodes = json.loads((outcome.folder / "manifest.json").read_text())["nodes"]
    layers = json.loads((outcome.folder / "checkpoints" / nodes["p0"] / "entropy.json").read_text())["layers"]
    assert {name: layer["channels"] for name, layer in layers.items()} == {"fc.1": 300, "fc.3": 100}
    mean = sum(layer["entropy"] * layer["channels"] for layer in layers.values()) / 400
    assert entropies(outcome)[0] == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize(
    ("condition", "ends"),
    [
        ("falling(entropy.relu, rounds=1)", lambda values: values[-1] < values[-2]),
        ("drop(entropy.relu) > 0.01", lambda values: max(values[:-1]) - values[-1] > 0.01),
        ("gain(entropy.relu) < 0.02", lambda values: values[-1] - values[-2] < 0.02),
        ("entropy.relu > 0.2", lambda values: values[-1] > 0.2),
        ("gain(entropy.relu) < 0.02 and val.acc > 50%", lambda values: values[-1] - values[-2] < 0.02),
    ],
)
def test_conditions_of_loops_read_it(dsd_run: Run, condition: str, ends) -> None:
    outcome = dsd_run(LOOP.format(condition=condition))
    rounds = entropies(outcome)[1:]
    needed = 1 if condition.startswith("entropy") else 2
    expected = next((count for count in range(needed, 5) if ends(rounds[:count])), 4)
    assert len(rounds) == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--model", "neuraltalk", "--data", "scenes"), "`neuraltalk` has no ReLU"),
        (("--model", "lenet_300_100", "--data", "tests.runtime.experiment.test_entropy_runs:without_val"), "no val"),
    ],
)
def test_what_cannot_be_measured_is_told_before_training(dsd_run: Run, flags, message: str) -> None:
    outcome = dsd_run("dense 2ep lr=0.05 until entropy.relu < 0.1", "--dry-run", *flags, base=())
    assert outcome.code in (1, 2)
    assert message in outcome.err


def without_val() -> dict:
    import torch
    from torch.utils.data import TensorDataset

    class Source:
        """A data source of one's own without validation data."""

        name, fingerprint, sizes = "mine", "1", {"train": 8, "val": 0, "test": 8}

        def __init__(self) -> None:
            from dsd_runtime.data.traits import image_traits

            self.traits = image_traits(("a", "b"), (1, 8, 8))
            self.samples = TensorDataset(torch.rand(8, 1, 8, 8), torch.arange(8) % 2)

        def updates_per_epoch(self, batch_size: int) -> int:
            return 1

        def train_batches(self, *, batch_size, epoch, key, skip=0, workers=0):
            from dsd_runtime.data.batch import ImageBatch

            yield ImageBatch(*self.samples.tensors)

        def evaluation_batches(self, split, *, batch_size, workers=0):
            from dsd_runtime.data.batch import ImageBatch

            yield ImageBatch(*self.samples.tensors)

    return Source()
