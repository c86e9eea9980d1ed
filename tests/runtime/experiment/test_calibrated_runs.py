"""`calibrate=` in a run: it changes what is measured and no weight, and resumes bit-identically."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.runtime.experiment.conftest import Run, stopping_after

NORMED = ("--model", "tests.runtime.experiment.test_calibrated_runs:normed", "--data", "digits", "--device", "cpu",
          "--progress", "none")  # fmt: skip
TEXT = "dense 2ep lr=0.05{}\nsparse 50% 1ep lr=0.05{}\n"


def normed() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Dropout(0.2),
        torch.nn.Linear(16, 10),
    )  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "final.safetensors")


def test_it_changes_what_is_measured_and_no_weight(dsd_run: Run) -> None:
    plain = dsd_run(TEXT.format("", ""), out="plain", base=NORMED)
    refreshed = dsd_run(TEXT.format(" calibrate=7it", " calibrate=7it"), out="refreshed", base=NORMED)
    metrics = [run.result["phases"][0]["metrics"] for run in (plain, refreshed)]
    assert metrics[0]["train.loss"] == metrics[1]["train.loss"]
    assert metrics[0]["val.loss"] != metrics[1]["val.loss"]
    one, other = weights(plain.folder), weights(refreshed.folder)
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert changed == {"2.running_mean", "2.running_var", "2.num_batches_tracked"}
    assert int(other["2.num_batches_tracked"]) == 7


def test_it_resumes_bit_identically(dsd_run: Run) -> None:
    text = TEXT.format(" calibrate=1.5ep", " calibrate=1.5ep")
    whole = dsd_run(text, out="whole", base=NORMED)
    with stopping_after(25):
        assert dsd_run(text, out="cut", base=NORMED).code == 143
    resumed = dsd_run(text, out="cut", base=NORMED)
    assert resumed.weights() == whole.weights()
    assert [phase["metrics"] for phase in resumed.result["phases"]] == [
        phase["metrics"] for phase in whole.result["phases"]
    ]


def test_arms_that_are_not_calibrated_alike_are_refused(dsd_run: Run) -> None:
    text = "fork { a: dense 1ep lr=0.05 calibrate=2it\n b: dense 1ep lr=0.1 }\ncompare a vs b on=val.err\n"
    outcome = dsd_run(text, "--dry-run")
    assert outcome.code in (1, 2)
    assert "`compare a vs b`: their last phases differ in `calibrate=`" in outcome.err
