"""The types of argument values after reading, and the values that a phase gives itself.

Lengths, functions and the like have the plan's form. A learning rate stays an expression and a reference a syntax node
until the passes that resolve them.
"""

from __future__ import annotations

from enum import Enum

from dsd_lang.base.records import record
from dsd_lang.passes.quantities import Quantity
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TypeAlias, TypeGuard

    from dsd_lang.passes.quantities import Names
    from dsd_lang.plan.shapes import (
        ConditionData,
        DecayData,
        FunctionData,
        LengthData,
        SourceData,
        TargetData,
    )
    from dsd_lang.syntax.moving import Move


class Mark(Enum):
    """Markers for the absence of a value."""

    FAILED = "failed"
    NONE = "none"


FAILED: Final = Mark.FAILED
"""A value that was given but is invalid; it has been reported, so nothing is inherited instead."""
NONE: Final = Mark.NONE
"""The word `none` for an argument that is off by default: given, but not written to the plan."""


@record
class WrittenRate:
    """`lr=expression` or `lr=[embed: 1e-5, all: 1e-4]`, with the visible names."""

    expression: nodes.Value | nodes.ListTarget
    names: Names


@record
class WrittenTeacher:
    """`distill=@teacher.end(alpha=0.8)`, `distill="file"`: the options by their names in the plan."""

    source: nodes.Reference | nodes.Text
    options: dict[str, str]


if TYPE_CHECKING:
    Value: TypeAlias = (
        str
        | int
        | tuple[str, ...]
        | Quantity
        | LengthData
        | FunctionData
        | DecayData
        | SourceData
        | WrittenRate
        | WrittenTeacher
        | nodes.Reference
        | nodes.Text
        | Mark
    )


def is_length(value: Value | None) -> TypeGuard[LengthData]:
    """Whether it is a length in plan form."""
    return isinstance(value, dict) and "unit" in value


def is_function(value: object) -> TypeGuard[FunctionData]:
    """Whether it is a word with arguments in plan form."""
    return isinstance(value, dict) and "arguments" in value


def is_source(value: object) -> TypeGuard[SourceData]:
    """Whether it is one of the words for the origin of weights, in plan form."""
    return isinstance(value, dict) and "kind" in value


def is_decay(value: Value | None) -> TypeGuard[DecayData]:
    """Whether it is the shape of a learning rate, in plan form."""
    return isinstance(value, dict) and "kind" in value


def _moved(value: Value, move: Move) -> Value:
    """A value whose nodes have moved."""
    if isinstance(value, WrittenRate):
        return WrittenRate(move.of(value.expression), value.names)
    if isinstance(value, WrittenTeacher):
        return WrittenTeacher(move.of(value.source), value.options)
    if isinstance(value, (nodes.Reference, nodes.Text)):
        moved: Value = move.of(value)
        return moved
    return value


class GivenArguments:
    """The values that one phase gives itself; None for those it does not give.

    ``arguments`` are the values by argument name. ``are_layers_of_target`` says that the target is a list without
    `layers=`, whose selectors are the layers; None if the target is invalid.
    """

    __slots__ = ("are_layers_of_target", "arguments", "length", "target", "until")

    def __init__(self) -> None:
        self.arguments: dict[str, Value] = {}
        self.length: Quantity | Mark | None = None
        self.target: TargetData | Mark | None = None
        self.until: ConditionData | Mark | None = None
        self.are_layers_of_target: bool | None = None

    def said(self, name: str) -> Value | None:
        """The value of `name=`; None if it is not given or invalid."""
        value = self.arguments.get(name)
        return None if value is FAILED else value

    def is_off(self, name: str) -> bool:
        """Whether the phase has `name=none`."""
        return self.arguments.get(name) is NONE

    @property
    def decay(self) -> DecayData | None:
        """The value of `decay=`."""
        value = self.arguments.get("decay")
        return value if is_decay(value) else None

    @property
    def teacher(self) -> WrittenTeacher | None:
        """The value of `distill=`."""
        value = self.arguments.get("distill")
        return value if isinstance(value, WrittenTeacher) else None

    def selectors(self, name: str) -> tuple[str, ...] | None:
        """The value of `layers=` or `except=`."""
        value = self.arguments.get(name)
        return value if isinstance(value, tuple) and not isinstance(value, Quantity) else None

    def moved(self, move: Move) -> GivenArguments:
        """The same of a phase that has moved; these values if none of them has a position."""
        if not any(move):
            return self
        arguments = {name: _moved(value, move) for name, value in self.arguments.items()}
        if all(value is self.arguments[name] for name, value in arguments.items()):
            return self
        moved = GivenArguments()
        moved.arguments = arguments
        moved.length, moved.target, moved.until = self.length, self.target, self.until
        moved.are_layers_of_target = self.are_layers_of_target
        return moved

    def over(self, original: GivenArguments) -> GivenArguments:
        """These values, and those of the original for what these do not give."""
        merged = GivenArguments()
        merged.arguments = {**original.arguments, **self.arguments}
        merged.length = original.length if self.length is None else self.length
        merged.target = original.target if self.target is None else self.target
        merged.until = original.until if self.until is None else self.until
        own = self.are_layers_of_target
        merged.are_layers_of_target = original.are_layers_of_target if own is None else own
        return merged
