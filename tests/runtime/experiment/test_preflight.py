"""The whole tree is checked before anything is trained, and by `--dry-run`."""

from __future__ import annotations

import pytest

from .conftest import Run

_TREE = "base: dense 1ep lr=0.05\nfork {{\n  a: dense 1ep\n  b: {{ sparse 50% 1ep; {} }}\n}}"


@pytest.mark.parametrize("flags", [("--dry-run",), (), ("--fresh",)])
@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("dense 1ep dropout=0.3", "`dropout=` is set, but the model has no dropout layers"),
        ("dense 1ep batch=100000", "phase `p3` has `batch=100000`, and the data has 1259 training samples"),
        ('dense 1ep from="absent.safetensors"', "absent.safetensors"),
        ("dense 1ep from=@base.500it", "`@base.500it` is past the end of phase `base`, which has 21 updates"),
        ("sparse 80% 1ep layers=conv", "no layer matches `conv`"),
        ("sparse 1:16 1ep layers=all", "`1:16` does not fit `fc.2.weight`"),
    ],
)
def test_what_only_the_last_branch_gets_wrong(dsd_run: Run, phase: str, message: str, flags: tuple[str, ...]) -> None:
    outcome = dsd_run(_TREE.format(phase), *flags)
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not (outcome.folder / "checkpoints").exists()


def test_fresh_keeps_the_folder_where_the_new_schedule_cannot_run(dsd_run: Run) -> None:
    first = dsd_run("dense 1ep lr=0.05")
    weights = first.weights()
    assert dsd_run(_TREE.format("dense 1ep dropout=0.3"), "--fresh").code == 1
    assert first.weights() == weights
