"""A model's layers as a JSON file: what `dsd-run --write-layers` writes and `--layers FILE.json` reads.

The format is ``{"layers": [{"name": "fc1", "kind": "fc", "bidirectional": false, "roles": [], "weights": [{"name":
"fc1.weight", "shape": [10, 20], "part": null}]}]}``. Only `name`, `kind` and a weight's `name` and `shape` are
required. A weight may have the other fields of :class:`WeightInfo` (`"is_trainable": false`, `"tied_to": "embed"`).
They are written only if they differ from the default, and versions that do not know them ignore them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import read_limited
from dsd_lang.base.layers import RECURRENT_KINDS, ROLES, LayerInfo, WeightInfo, with_inferred_roles

KNOWN_KINDS = ("conv", "fc", *RECURRENT_KINDS, "embed", "norm", "attention", "ctc", "other")
_HELP = 'it is {"layers": [{"name": "fc1", "kind": "fc", "weights": [{"name": "fc1.weight", "shape": [10, 20]}]}]}'


def read_layers(path: str) -> tuple[LayerInfo, ...]:
    """The layers in the file; raises :class:`DsdError` with a sentence that says where it is wrong."""
    try:
        data = json.loads(read_limited(path))
    except (ValueError, RecursionError) as error:
        raise DsdError(f"the layers file `{path}` is not JSON: {error}", help=_HELP) from error
    layers = data.get("layers") if isinstance(data, dict) else None
    if not isinstance(layers, list):
        raise DsdError(f"the layers file `{path}` has no list `layers`", help=_HELP)
    found = with_inferred_roles([_layer(item, f"layers[{index}]", path) for index, item in enumerate(layers)])
    firsts = {weight.name for layer in found for weight in layer.weights if weight.tied_to is None}
    for layer in found:
        for weight in layer.weights:
            if weight.first_name not in firsts:
                raise _wrong(path, f"{weight.name}.tied_to", f"names no other weight: `{weight.tied_to}`")
    return found


def layers_as_data(layers: Sequence[LayerInfo]) -> dict[str, Any]:
    """The content of a layers file as plain data, as :func:`read_layers` reads it."""
    return {
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "weights": [_weight_as_data(weight) for weight in layer.weights],
                "bidirectional": layer.bidirectional,
                "roles": list(layer.roles),
            }
            for layer in layers
        ]
    }


def _weight_as_data(weight: WeightInfo) -> dict[str, Any]:
    plain = WeightInfo(weight.name, weight.shape, weight.part)
    data: dict[str, Any] = {"name": weight.name, "shape": list(weight.shape), "part": weight.part}
    further = ("is_trainable", "tied_to", "input_dim", "input_blocks", "made_by", "output_blocks")
    return data | {key: getattr(weight, key) for key in further if getattr(weight, key) != getattr(plain, key)}


def _layer(item: Any, json_path: str, path: str) -> LayerInfo:
    name = _text(item, "name", json_path, path)
    kind = _text(item, "kind", json_path, path)
    if kind not in KNOWN_KINDS:
        raise _wrong(path, f"{json_path}.kind", f"is `{kind}`, which is none of {', '.join(KNOWN_KINDS)}")
    weights = item.get("weights", [])
    roles = item.get("roles", [])
    if not isinstance(weights, list):
        raise _wrong(path, f"{json_path}.weights", "must be a list")
    if not isinstance(roles, list) or not all(role in ROLES for role in roles):
        raise _wrong(path, f"{json_path}.roles", f"must be a list of roles out of {', '.join(ROLES)}")
    is_bidirectional = item.get("bidirectional", False)
    if not isinstance(is_bidirectional, bool):
        raise _wrong(path, f"{json_path}.bidirectional", "must be true or false")
    infos = tuple(_weight(weight, f"{json_path}.weights[{index}]", path) for index, weight in enumerate(weights))
    return LayerInfo(name, kind, infos, is_bidirectional, tuple(roles))


def _weight(item: Any, json_path: str, path: str) -> WeightInfo:
    name = _text(item, "name", json_path, path)
    shape = item.get("shape")
    if not isinstance(shape, list) or not all(type(extent) is int and extent > 0 for extent in shape):
        raise _wrong(path, f"{json_path}.shape", "must be a list of whole numbers above 0")
    part = item.get("part")
    if part not in (None, "ih", "hh"):
        raise _wrong(path, f"{json_path}.part", "must be `ih`, `hh` or null")
    is_trainable = item.get("is_trainable", True)
    if not isinstance(is_trainable, bool):
        raise _wrong(path, f"{json_path}.is_trainable", "must be true or false")
    tied_to, made_by = (_text_or_none(item, key, json_path, path) for key in ("tied_to", "made_by"))
    dim, blocks, groups = (_whole(item, key, json_path, path) for key in ("input_dim", "input_blocks", "output_blocks"))
    if len(shape) >= 2 and not (dim < len(shape) and 0 < blocks <= shape[dim]):
        raise _wrong(path, json_path, f"has no {blocks} blocks of inputs along dim {dim} of its shape")
    if groups < 1 or (shape and shape[0] % groups):
        raise _wrong(path, json_path, f"has no {groups} equal blocks of outputs along dim 0 of its shape")
    return WeightInfo(name, tuple(shape), part, is_trainable, tied_to, dim, blocks, made_by, groups)


def _whole(item: Any, key: str, json_path: str, path: str) -> int:
    value = item.get(key, 1)
    if type(value) is not int or value < 0:
        raise _wrong(path, f"{json_path}.{key}", "must be a whole number of at least 0")
    return value


def _text_or_none(item: Any, key: str, json_path: str, path: str) -> str | None:
    return None if item.get(key) is None else _text(item, key, json_path, path)


def _text(item: Any, key: str, json_path: str, path: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value:
        raise _wrong(path, f"{json_path}.{key}", "must be a string")
    return value


def _wrong(path: str, json_path: str, message: str) -> DsdError:
    return DsdError(f"the layers file `{path}` is wrong at `{json_path}`: it {message}", help=_HELP)
