"""Named tuples behave as those of `typing` do."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dsd_lang.base.named_tuples import NamedTuple


class Point(NamedTuple):
    """A point."""

    x: int
    y: int = 0

    @property
    def total(self) -> int:
        return self.x + self.y


class Shown(NamedTuple):
    text: str

    def __str__(self) -> str:
        return self.text


def test_construction_equality_and_repr() -> None:
    assert Point(1) == Point(x=1, y=0) == (1, 0) != Point(1, 2)
    assert repr(Point(1, y=2)) == "Point(x=1, y=2)"
    assert str(Shown("as written")) == "as written"
    assert (Point(1, 2).total, Point.__doc__, Point.__match_args__) == (3, "A point.", ("x", "y"))
    for arguments in ({}, {"x": 1, "z": 2}):
        with pytest.raises(TypeError):
            Point(**arguments)


def test_a_tuple_with_names() -> None:
    x, y = point = Point(1, 2)
    assert (x, y, point[1], point.y, hash(point)) == (1, 2, 2, 2, hash((1, 2)))
    assert point._replace(y=5) == Point(1, 5)
    assert point._asdict() == {"x": 1, "y": 2}
    assert not hasattr(point, "__dict__")
    with pytest.raises(TypeError):
        point._replace(z=5)
    with pytest.raises(AttributeError):
        point.x = 3  # type: ignore[misc]


def test_copies() -> None:
    assert copy.deepcopy(Point(1, 2)) == pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)  # noqa: S301
    assert type(copy.copy(Point(1))) is Point


def test_a_field_needs_a_default_after_one_that_has_one() -> None:
    with pytest.raises(TypeError, match="without a default follows"):

        class Wrong(NamedTuple):
            x: int = 0
            y: Any  # type: ignore[misc]
