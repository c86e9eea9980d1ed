"""Writes parts of a plan as plain data or JSON, without attributes at their default.

Phases of a loop or of several seeds share their parts, so each shared part is written once and then copied. This writes
a plan of 100,000 phases in seconds; `json` with an indent and pydantic, which visits each part separately, take much
longer.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

if TYPE_CHECKING:
    from dsd_lang.plan.parts import PlanPart

_REQUIRED = object()


def as_data(part: PlanPart) -> dict[str, Any]:
    """The part as plain JSON data, equal to `model_dump(mode="json")`."""
    return {key: plain(value) for key, value in kept_items(part)}


def kept_items(part: PlanPart) -> list[tuple[str, Any]]:
    """The attributes that are written, under their keys in the JSON."""
    values = part.__dict__
    return [
        (key, value)
        for name, key, default in _defaults_of(type(part))
        if (value := values[name]) is not default and value != default
    ]


@cache
def _defaults_of(part: type[PlanPart]) -> tuple[tuple[str, str, Any], ...]:
    """Each field's name, its JSON key, and the default that is left out (a marker equal to nothing if never)."""
    return tuple(
        (
            name,
            field.alias or name,
            _REQUIRED
            if field.is_required() or name in part._always
            else (field.default if field.default_factory is None else field.get_default(call_default_factory=True)),
        )
        for name, field in part.model_fields.items()
    )


def plain(value: Any, shared: dict[int, Any] | None = None) -> Any:
    """A value of a part as plain JSON data.

    ``shared`` keeps the data of parts by their id, for a caller that keeps the parts and does not change the data.
    """
    if value is None or isinstance(value, (str, int)):  # most are; whether it is a model takes longer to ask
        return value
    if isinstance(value, BaseModel):
        if shared is not None and id(value) in shared:
            return shared[id(value)]
        data = {key: plain(item, shared) for key, item in kept_items(cast("PlanPart", value))}
        if shared is not None:
            shared[id(value)] = data
        return data
    if isinstance(value, (tuple, list)):
        return [plain(item, shared) for item in value]
    if isinstance(value, dict):
        return {key: plain(item, shared) for key, item in value.items()}
    return value


def as_text(part: PlanPart, indent: int) -> str:
    """The same text as `json.dumps(as_data(part), indent=indent, ensure_ascii=False)`."""
    return _Writer(indent).text(part, 0)


class _Writer:
    """Caches texts by part and depth; parts are kept alive by the part that is being written."""

    def __init__(self, indent: int) -> None:
        self._step = " " * indent
        self._texts: dict[tuple[int, int], str] = {}

    def text(self, value: Any, depth: int) -> str:
        if isinstance(value, str):
            return json.encoder.encode_basestring(value)
        if isinstance(value, BaseModel):
            key = (id(value), depth)
            if key not in self._texts:
                self._texts[key] = self.block("{", self.items(kept_items(cast("PlanPart", value)), depth), "}", depth)
            return self._texts[key]
        if isinstance(value, dict):
            return self.block("{", self.items(value.items(), depth), "}", depth)
        if isinstance(value, (tuple, list)):
            return self.block("[", [self.text(item, depth + 1) for item in value], "]", depth)
        return json.dumps(value)

    def items(self, items: Any, depth: int) -> list[str]:
        return [f"{_key_text(key)}: {self.text(value, depth + 1)}" for key, value in items]

    def block(self, opening: str, items: list[str], closing: str, depth: int) -> str:
        if not items:
            return opening + closing
        line = "\n" + self._step * (depth + 1)
        return f"{opening}{line}{f',{line}'.join(items)}\n{self._step * depth}{closing}"


def _key_text(key: str) -> str:
    return json.encoder.encode_basestring(key)
