"""A node's key changes with what changes its numbers, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.keys import RunSettings, node_keys

SETTING = RunSettings("conv2", "digits#abc", 0, "fp32", "cpu", False)
LINE = "a: dense 2ep lr=0.1\ns: sparse 50% 2ep\nd: dense 2ep"


def _keys(text: str, setting: RunSettings = SETTING) -> list[str]:
    return list(node_keys(dsd_lang.compile(text), setting).values())


def test_a_setting_that_is_not_made_is_in_no_key() -> None:
    """So that folders of versions before label noise go on."""
    made = {"model": "conv2", "data": "digits#abc", "seed": 0, "precision": "fp32", "device": "cpu"}
    assert SETTING.content() == {**made, "is_compiled": False, "threads": None}
    assert replace(SETTING, noise="0.1").content() == {**SETTING.content(), "noise": "0.1"}


@pytest.mark.parametrize(
    "same",
    [
        "# words\nx: dense 2ep lr=1e-1; y: sparse 0.5 2ep; z: dense 2ep",
        "set lr=0.1\ndense 2ep\nsparse 0.5 2ep\ndense 2ep",
        "repeat 1 { dense 2ep lr=0.1 }\nsparse 50% 2ep\ndense 2ep",
    ],
)
def test_how_it_is_written_changes_no_key(same: str) -> None:
    assert _keys(same) == _keys(LINE)


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        (LINE.replace("lr=0.1", "lr=0.2"), 0),
        (LINE.replace("a: dense 2ep", "a: dense 3ep"), 0),
        (LINE.replace("sparse 50%", "sparse 60%"), 1),
        (LINE.replace("sparse 50%", "sparse 50% scope=global"), 1),
        (LINE.replace("d: dense 2ep", "d: dense 2ep until val.loss < 1"), 2),
        (LINE.replace("d: dense 2ep", "d: dense 2ep restore=saved"), 2),
        (LINE.replace("d: dense 2ep", "d: dense 2ep batch=64"), 2),
        (LINE.replace("d: dense 2ep", "d: dense 2ep from=@a.end"), 2),
    ],
)
def test_an_edit_changes_the_keys_from_there_on(changed: str, first: int) -> None:
    before, after = _keys(LINE), _keys(changed)
    assert [old == new for old, new in zip(before, after, strict=True)] == [index < first for index in range(3)]


@pytest.mark.parametrize(
    "change",
    [{"model": "conv4"}, {"data": "digits#abd"}, {"seed": 1}, {"precision": "bf16"}, {"device": "cuda"},
     {"is_compiled": True}],
)  # fmt: skip
def test_every_setting_changes_every_key(change: dict[str, object]) -> None:
    assert not set(_keys(LINE)) & set(_keys(LINE, replace(SETTING, **change)))


def test_branches_share_what_is_the_same_and_differ_by_seed_index_and_draws() -> None:
    same = _keys("dense 1ep lr=0.1\nfork { x: sparse 50% 1ep\n y: sparse 0.5 1ep }")
    assert same[1] == same[2]
    assert len(set(_keys("dense 1ep lr=0.1\nfork seeds=3 { x: dense 1ep }"))) == 4
    assert len(set(_keys("fork seeds=3 { x: dense 1ep lr=0.1 }"))) == 3
    shared = _keys("fork { x: dense 1ep lr=0.1\n y: dense 1ep lr=0.1 }")
    assert shared[0] == shared[1]
    for fork, source in ((" rng=distinct", ""), ("", " from=random")):
        distinct = _keys(f"fork{fork} {{ x: dense 1ep lr=0.1{source}\n y: dense 1ep lr=0.1{source} }}")
        assert distinct[0] != distinct[1], fork + source


def test_a_reference_is_its_node_and_its_moment() -> None:
    text = "a: dense 2ep lr=0.1\nsparse 50% 2ep\ndense 2ep from=@a.{}"
    ends = {moment: _keys(text.format(moment))[2] for moment in ("start", "entered", "end", "best", "5it", "6it")}
    assert len(set(ends.values())) == len(ends)
    renamed = _keys(text.format("end").replace("a:", "first:").replace("@a", "@first"))
    assert renamed[2] == ends["end"]


def test_a_file_is_its_bytes(tmp_path: Path) -> None:
    for name, content in (("x", b"1"), ("y", b"1"), ("z", b"2")):
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    x, y, z = (_keys(f'dense 1ep lr=0.1 from="{tmp_path / name}.safetensors"') for name in "xyz")
    assert x == y != z
    with pytest.raises(DsdError, match="cannot be read"):
        _keys(f'dense 1ep lr=0.1 from="{tmp_path}/absent.safetensors"')


def test_masks_of_a_network_that_came_pruned_are_in_the_key() -> None:
    held, current = (_keys(f"sparse 50% 1ep lr=0.1; sparse held{masks} 1ep") for masks in ("", " masks=current"))
    assert held == _keys("sparse 50% 1ep lr=0.1; sparse held masks=previous 1ep")
    assert [one == other for one, other in zip(held, current, strict=True)] == [True, False]


def test_a_global_clock_hangs_on_the_length_of_the_whole_line() -> None:
    text = "set clock=global decay=cosine lr=0.1 batch=32\ndense 2ep\ndense {}"
    keys = {length: _keys(text.format(length)) for length in ("2ep", "3ep", "2ep batch=64", "2ep wd=1e-3")}
    assert len({found[0] for found in keys.values()}) == 3
    assert keys["2ep"][0] == keys["2ep wd=1e-3"][0]
    own = "set decay=cosine lr=0.1\ndense 2ep\ndense {}"
    assert _keys(own.format("2ep"))[0] == _keys(own.format("3ep"))[0]


def test_the_condition_of_a_loop_counts_after_the_loop_alone() -> None:
    """It decides how many cycles come before; what a cycle itself does is the same."""
    text = "set lr=0.1\ndense 1ep\nrepeat 2 until val.loss < {} {{ sparse 50% 1ep; dense 1ep }}\ndense 1ep\ndense 1ep"
    one, two = _keys(text.format("0.5")), _keys(text.format("0.6"))
    assert [a == b for a, b in zip(one, two, strict=True)] == [True] * 5 + [False] * 2
    inner = "set lr=0.1\nrepeat 2 until val.err < 1 {{ repeat 2 until val.loss < {} {{ dense 1ep }}; dense 1ep }}"
    one, two = _keys(inner.format("0.5")), _keys(inner.format("0.6"))
    assert [a == b for a, b in zip(one, two, strict=True)] == [True] * 2 + [False] * 4
