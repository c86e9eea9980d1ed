"""`--layers FILE.json` in, a model's layers out.

The shape: ``{"layers": [{"name": "fc1", "kind": "fc", "bidirectional": false, "roles": [], "weights":
[{"name": "fc1.weight", "shape": [10, 20], "part": null}]}]}``; only `name`, `kind` and a weight's `name` and `shape`
are needed. `inputs` says how many inputs an output sums over where that is not the second dimension.
"""

from __future__ import annotations

import json
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import read_limited
from dsd_lang.base.layers import RECURRENT_KINDS, ROLES, LayerInfo, WeightInfo, with_inferred_roles

KNOWN_KINDS = ("conv", "fc", *RECURRENT_KINDS, "embed", "norm", "attention", "ctc", "other")
_HELP = 'it is {"layers": [{"name": "fc1", "kind": "fc", "weights": [{"name": "fc1.weight", "shape": [10, 20]}]}]}'


def read_layers(path: str) -> tuple[LayerInfo, ...]:
    """The layers in the file; raises :class:`DsdError` with one sentence that says where it is wrong."""
    try:
        data = json.loads(read_limited(path))
    except (ValueError, RecursionError) as error:
        raise DsdError(f"the layers file `{path}` is not JSON: {error}", help=_HELP) from error
    layers = data.get("layers") if isinstance(data, dict) else None
    if not isinstance(layers, list):
        raise DsdError(f"the layers file `{path}` has no list `layers`", help=_HELP)
    return with_inferred_roles([_layer(item, f"layers[{index}]", path) for index, item in enumerate(layers)])


def _layer(item: Any, place: str, path: str) -> LayerInfo:
    name = _text(item, "name", place, path)
    kind = _text(item, "kind", place, path)
    if kind not in KNOWN_KINDS:
        raise _wrong(path, f"{place}.kind", f"is `{kind}`, which is none of {', '.join(KNOWN_KINDS)}")
    weights = item.get("weights", [])
    roles = item.get("roles", [])
    if not isinstance(weights, list):
        raise _wrong(path, f"{place}.weights", "must be a list")
    if not isinstance(roles, list) or not all(role in ROLES for role in roles):
        raise _wrong(path, f"{place}.roles", f"must be a list of roles out of {', '.join(ROLES)}")
    is_bidirectional = item.get("bidirectional", False)
    if not isinstance(is_bidirectional, bool):
        raise _wrong(path, f"{place}.bidirectional", "must be true or false")
    infos = tuple(_weight(weight, f"{place}.weights[{index}]", path) for index, weight in enumerate(weights))
    return LayerInfo(name, kind, infos, is_bidirectional, tuple(roles))


def _weight(item: Any, place: str, path: str) -> WeightInfo:
    name = _text(item, "name", place, path)
    shape = item.get("shape")
    if not isinstance(shape, list) or not all(type(extent) is int and extent > 0 for extent in shape):
        raise _wrong(path, f"{place}.shape", "must be a list of whole numbers above 0")
    part = item.get("part")
    if part not in (None, "ih", "hh"):
        raise _wrong(path, f"{place}.part", "must be `ih`, `hh` or null")
    inputs = item.get("inputs")
    if inputs is not None and (type(inputs) is not int or inputs < 1):
        raise _wrong(path, f"{place}.inputs", "must be a whole number above 0, or null")
    return WeightInfo(name, tuple(shape), part, inputs)


def _text(item: Any, key: str, place: str, path: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value:
        raise _wrong(path, f"{place}.{key}", "must be a text")
    return value


def _wrong(path: str, place: str, message: str) -> DsdError:
    return DsdError(f"the layers file `{path}` is wrong at `{place}`: it {message}", help=_HELP)
