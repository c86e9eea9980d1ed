"""A plan.json from anywhere: what cannot be meant is one sentence with the place in the file, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.cli import plan as command
from dsd_lang.plan import Plan

TEXT = """set opt=sgd
a: dense 5ep lr=.1 warmup=2it decay=exp(.9)
b: sparse 50%->90% 10ep by=random until val.loss < 3 * 2 or plateau(val.loss)
c: sparse 2:4 from=@a.2it decay=step(1ep, 50%) distill=@a(alpha=.5)
d: sparse [fc: 30%, conv: 20%] lr=last dropout=.2
"""
DAMAGE: tuple[tuple[tuple[str | int, ...], object, str], ...] = (
    (("phases", 0, "duration", "value"), "abc", "`abc` is not a number of a plan"),
    (("phases", 0, "duration", "value"), "1/0", "`1/0` divides by zero"),
    (("phases", 0, "duration", "value"), "1e999", "`1e999` is not a number of a plan"),
    (("phases", 0, "duration", "value"), "-1", "`-1` is below 0"),
    (("phases", 0, "lr", "start"), "1" + "%" * 5000, "is not a number of a plan"),
    (("phases", 0, "lr", "start"), None, "one of `start` and `of`"),
    (("phases", 0, "lr", "decay", "factor"), "2", "the factor `2` is not above 0 and at most 1"),
    (("phases", 3, "lr"), {"of": "last", "decay": {"kind": "constant"}}, "a rate of `last` needs `phase`"),
    (("phases", 1, "target", "end"), "2", "`2` is not a share from 0 to below 1"),
    (("phases", 1, "target", "every"), None, "a target of kind `ramp` needs `every`"),
    (("phases", 2, "target", "n"), 5, "`5:4` keeps no share"),
    (("phases", 3, "target", "items"), [], "a target of kind `list` needs `items`"),
    (("phases", 3, "target", "items", 0, "target", "kind"), "list", "needs `items`"),
    (("phases", 1, "until", "args"), [], "has 0 operands"),
    (("phases", 1, "until", "args", 0, "op"), "=>", "has no operator `=>`"),
    (("phases", 1, "until", "args", 0, "args", 0, "name"), None, "needs `name`"),
    (("phases", 2, "from", "reference", "offset"), None, "a reference has an `offset` where its moment is `at`"),
    (("phases", 2, "from", "reference", "phase"), None, "a reference to `at` needs `phase`"),
    (("phases", 3, "dropout"), "1", "`1` is not a share"),
    (("phases", 3, "batch"), 0, "greater than or equal to 1"),
    (("phases", 1, "parent"), "p3", "the parent `p3` of `p1` is not an earlier phase"),
    (("phases", 1, "id"), "p0", "two phases have the id `p0`"),
    (("settings", "opt"), {"kind": "step", "milestones": [1]}, "the setting `opt` is not a value"),
    (("settings", "opt"), {}, "the setting `opt` is not a value"),
    (("settings", "opt"), None, "the setting `opt` is not a value"),
    (("settings_from",), {}, "nothing says where the setting `opt` is from"),
)


def damaged(path: tuple[str | int, ...], value: object) -> str:
    data: Any = json.loads(dsd_lang.compile(TEXT).to_json())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(("path", "value", "sentence"), DAMAGE)
def test_what_cannot_be_meant_is_refused(path: tuple[str | int, ...], value: object, sentence: str) -> None:
    with pytest.raises(DsdError) as caught:
        Plan.from_json(damaged(path, value))
    assert sentence in caught.value.message
    assert "value error" not in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "text",
    [
        '{"dsd_plan": 1, "phases": ' + "[" * 100_000,
        '{"dsd_plan": 1, "phases": 1',
        '{"dsd_plan": 2}',
        '{"dsd_plan"',
        "{}",
    ],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(DsdError, match="this is not a version 1 plan"):
        Plan.from_json(text)


def test_the_command_names_the_file_and_where_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.json"
    path.write_text(damaged(("phases", 1, "target", "pruned"), "NaN"), encoding="utf-8")
    assert command.main([str(path)]) == 2
    said = capsys.readouterr().err
    assert f"`{path}`: this is not a version 1 plan: at `phases.1.target.pruned`: `nan` is not a number" in said
