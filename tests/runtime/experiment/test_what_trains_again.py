"""A node is trained again when something that changes its numbers has changed, and only then: the whole command."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsd_runtime.experiment.request import Request

from .conftest import Run

TEXT = "dense 2it lr=0.05"

CHANGES = {
    "model": ("--model", "lenet_300_100:hidden=20"),
    "data": ("--data", "digits:size=10"),
    "precision": ("--precision", "bf16"),
    "seed": ("--seed", "3"),
    "settings": ("--set", "clip=0.01"),
    "scale": ("--scale", "2"),
    "threads": ("--threads", "2"),
}
"""Flags that change numbers, by the field of the request they set."""

CHANGES_NOTHING = {
    "workers": ("--workers", "2"),
    "progress": ("--progress", "plain"),
    "save_every_seconds": ("--save-every", "1"),
}
"""Flags that must not."""

NOT_TRIED = {
    "schedule",
    "out",
    "mode",
    "trusts_schedule",
    "device",
    "is_compiled",
    "is_dry",
    "as_json",
    "write_layers",
    "keeps_predictions",
    "given",
    "jobs",
    "ray",
    "slurm",
    "is_sharded",
    "syncs_batch_norm",
}
"""Where it is and how it is shown; another device or a compiler would need one (their keys are tested apart).

That no number depends on who trains is tested in `test_side_by_side.py`.

The keys of live objects, which no flag gives, are tested in `test_running.py`.
"""


def test_every_flag_is_one_or_the_other() -> None:
    known = set(CHANGES) | set(CHANGES_NOTHING) | NOT_TRIED
    assert {field.name for field in fields(Request)} <= known, "say here whether the new flag changes numbers"


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "model"])
def test_a_flag_that_changes_numbers_trains_again(dsd_run: Run, name: str) -> None:
    assert dsd_run(TEXT).states() == ["trained"]
    assert dsd_run(TEXT).states() == ["reused"]
    assert dsd_run(TEXT, *CHANGES[name]).states() == ["trained"]


@pytest.mark.parametrize("name", CHANGES_NOTHING)
def test_a_flag_that_changes_no_number_does_not(dsd_run: Run, name: str) -> None:
    first = dsd_run(TEXT)
    assert dsd_run(TEXT, *CHANGES_NOTHING[name], out="other").weights() == first.weights()
    assert dsd_run(TEXT, *CHANGES_NOTHING[name]).states() == ["reused"]


@pytest.mark.parametrize(
    "argument", ["clip=0.01", "state=reset", "dropout=0.7", "wd=0.5", "l1=1e-3", "batch=64", "opt=adam", "lr=0.04"]
)
def test_an_argument_that_changes_numbers_trains_its_phase_again(dsd_run: Run, argument: str) -> None:
    from .recording import MODEL

    text = f"dense 3it lr=0.05\nsparse 50% 3it\nd: dense 3it {'' if 'lr=' in argument else 'lr=0.05 '}{{}}"
    plain = text.format("lr=0.05" if "lr=" in argument else "")
    before = dsd_run(plain, *MODEL)
    assert before.code == 0, before.err
    weights = before.weights()
    after = dsd_run(text.format(argument), *MODEL)
    assert after.code == 0, after.err
    assert after.states() == ["reused", "reused", "trained"]
    assert after.weights() != weights


def _write_pictures(folder: Path) -> Path:
    for number, split in enumerate(("train", "test")):
        for kind in range(2):
            for index in range(6):
                pixels = np.random.default_rng([number, kind, index]).integers(0, 256, (8, 8), dtype=np.uint8)
                file = folder / split / f"class{kind}" / f"{index}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
    return folder


def test_a_replaced_picture_trains_again(dsd_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The specification of the data is the same; what it names is not."""
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    folder = _write_pictures(tmp_path / "pictures")
    flags = ("--data", f"imagefolder:{folder},size=8", "--set", "batch=4")
    assert dsd_run(TEXT, *flags).states() == ["trained"]
    assert dsd_run(TEXT, *flags).states() == ["reused"]
    Image.fromarray(np.full((8, 8), 9, dtype=np.uint8)).save(folder / "train" / "class0" / "0.png")
    assert dsd_run(TEXT, *flags).states() == ["trained"]


_TWO = """base: dense 1ep lr=0.1
fork {{ a: {{ sparse 50% 1ep lr=0.01; dense 1ep }}
        b: {{ sparse 50% 1ep lr=0.01; dense {restore} 1ep }} }}"""


def test_values_are_kept_in_a_node_that_only_another_branch_restores(dsd_run: Run) -> None:
    """The sparse phase of both branches is one node, trained where nothing is restored."""
    assert dsd_run(_TWO.format(restore="restore=saved")).code == 0


def test_a_node_from_before_its_values_were_needed_is_trained_again(dsd_run: Run) -> None:
    assert dsd_run(_TWO.format(restore="")).code == 0
    edited = dsd_run(_TWO.format(restore="restore=saved"))
    assert edited.code == 0
    alone = dsd_run(_TWO.format(restore="restore=saved"), out="alone")
    assert [phase["metrics"] for phase in edited.result["phases"]] == [
        phase["metrics"] for phase in alone.result["phases"]
    ]
