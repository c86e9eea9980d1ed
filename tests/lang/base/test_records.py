"""Records behave as frozen, slotted dataclasses do."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from dsd_lang.base.records import record


@record
class Point:
    """A point."""

    x: int
    y: int = 0

    @property
    def total(self) -> int:
        return self.x + self.y


@record
class Other:
    x: int
    y: int = 0


def test_construction_equality_and_repr() -> None:
    assert Point(1) == Point(x=1, y=0) != Point(1, 2)
    assert Point(1) != Other(1)
    assert hash(Point(1)) == hash(Point(1))
    assert repr(Point(1, y=2)) == "Point(x=1, y=2)"
    assert (Point(1, 2).total, Point.__doc__, Point.__match_args__) == (3, "A point.", ("x", "y"))
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]


def test_frozen_and_slotted() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    assert not hasattr(point, "__dict__")
    assert copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point  # noqa: S301


def test_dataclass_functions_understand_records() -> None:
    assert dataclasses.asdict(Point(1, 2)) == {"x": 1, "y": 2}
    assert dataclasses.replace(Point(1, 2), y=5) == Point(1, 5)
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "y"]
