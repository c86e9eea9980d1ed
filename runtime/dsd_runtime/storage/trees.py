"""Trees of tensors and plain data as JSON with the tensors beside it: nothing is pickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dsd_runtime.masks.shards import is_sharded
from dsd_runtime.storage.tensor_files import own_memory


class EncodedTree:
    """A tree: plain data with the names of its tensors, its whole tensors, and its shards, by these names."""

    def __init__(self, tree: Any) -> None:
        self.whole: dict[str, Tensor] = {}
        self.shards: dict[str, Tensor] = {}
        self._seen: set[int] = set()
        self.skeleton = self._encode(tree)

    def _encode(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return {"$tensor": self._named(value)}
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: self._encode(item) for key, item in value.items()}
            return {"$items": [[self._encode(key), self._encode(item)] for key, item in value.items()]}
        if isinstance(value, tuple):
            return {"$tuple": [self._encode(item) for item in value]}
        if isinstance(value, list):
            return [self._encode(item) for item in value]
        if value is None or isinstance(value, str | int | float | bool):
            return value
        raise TypeError(f"a checkpoint holds tensors and plain data, not {type(value).__name__}")

    def _named(self, value: Tensor) -> str:
        name = f"t{len(self.whole) + len(self.shards)}"
        if is_sharded(value):
            self.shards[name] = value.detach()
        else:
            self.whole[name] = own_memory(value, self._seen)
        return name


def decoded(value: Any, tensors: Mapping[str, Tensor] | None) -> Any:
    """The tree of a skeleton; with None for every tensor if there are no tensors."""
    if isinstance(value, list):
        return [decoded(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return None if tensors is None else tensors[value["$tensor"]]
    if "$items" in value:
        return {decoded(key, tensors): decoded(item, tensors) for key, item in value["$items"]}
    if "$tuple" in value:
        return tuple(decoded(item, tensors) for item in value["$tuple"])
    return {key: decoded(item, tensors) for key, item in value.items()}
