"""Writes and reads checkpoints: tensors as safetensors, everything else as JSON, nothing pickled.

A checkpoint is a folder that is written atomically (durable.py). `checksums.json` has the sha256 of every file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.storage.durable import COMPLETE_MARK, flush_file, flush_together, write_failure, writing


def save_checkpoint(folder: Path, parts: Mapping[str, Any], *, is_flushed: bool = True) -> None:
    """Writes each part (a tree of tensors and plain data) as `<name>.safetensors` and `<name>.json` into a new folder.

    Its contents are flushed to the disk before it has its name; its name too, unless the caller sees to that. Raises
    :class:`DiskFull` or :class:`DsdError` if writing fails; no incomplete file remains.
    """
    try:
        with writing(folder, is_flushed=is_flushed) as unfinished:
            unfinished.mkdir()
            for name, tree in parts.items():
                _write_part(unfinished, name, tree)
            sums = {path.name: _sha256(path) for path in sorted(unfinished.iterdir())}
            (unfinished / COMPLETE_MARK).write_text(json.dumps(sums, indent=1), encoding="utf-8")
            flush_together([*unfinished.iterdir(), unfinished])
    except SafetensorError as error:
        raise write_failure(folder, error) from error


def load_checkpoint(folder: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The parts of a checkpoint (all, or those named), each verified against its checksum.

    Raises :class:`DsdError` naming the file that is missing or damaged.
    """
    sums = _read_sums(folder)
    wanted = list(names) if names is not None else [name[:-5] for name in sums if name.endswith(".json")]
    return {name: _read_part(folder, name, sums) for name in wanted}


def save_weights(path: Path, weights: Mapping[str, Tensor], *, is_flushed: bool = True) -> None:
    """Writes a safetensors file under the weights' own names, atomically; tied weights under each name.

    It is flushed to the disk, unless the caller sees to that.
    """
    try:
        with writing(path, is_flushed=is_flushed) as unfinished:
            _write_tensors(
                unfinished, {name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}
            )
            if is_flushed:
                flush_file(unfinished)
    except SafetensorError as error:
        raise write_failure(path, error) from error


# --- trees ------------------------------------------------------------------------------------------------------------


def _encode(value: Any, tensors: dict[str, Tensor], seen: set[int]) -> Any:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = _own_memory(value, seen)
        return {"$tensor": name}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _encode(item, tensors, seen) for key, item in value.items()}
        return {"$items": [[_encode(key, tensors, seen), _encode(item, tensors, seen)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_encode(item, tensors, seen) for item in value]}
    if isinstance(value, list):
        return [_encode(item, tensors, seen) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a checkpoint holds tensors and plain data, not {type(value).__name__}")


def _own_memory(value: Tensor, seen: set[int]) -> Tensor:
    """The tensor on the CPU, contiguous, not sharing memory with another tensor of the file."""
    result = value.detach().cpu().contiguous()
    storage = result.untyped_storage()
    if storage.data_ptr() in seen or storage.nbytes() != result.numel() * result.element_size():
        result = result.clone()
    seen.add(result.untyped_storage().data_ptr())
    return result


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$items" in value:
        return {_decode(key, tensors): _decode(item, tensors) for key, item in value["$items"]}
    if "$tuple" in value:
        return tuple(_decode(item, tensors) for item in value["$tuple"])
    return {key: _decode(item, tensors) for key, item in value.items()}


# --- files ------------------------------------------------------------------------------------------------------------


def _write_part(folder: Path, name: str, tree: Any) -> None:
    tensors: dict[str, Tensor] = {}
    skeleton = _encode(tree, tensors, set())
    if tensors:
        _write_tensors(folder / f"{name}.safetensors", tensors)
    (folder / f"{name}.json").write_text(json.dumps(skeleton), encoding="utf-8")


def _read_sums(folder: Path) -> dict[str, str]:
    """The checksums of a checkpoint's files; checks that all these files exist."""
    mark = folder / COMPLETE_MARK
    try:
        sums = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(mark, str(error)) from error
    if not isinstance(sums, dict):
        raise _damaged(mark, "it has no checksums")
    for name in sums:
        if not (folder / name).is_file():
            raise _damaged(mark, f"it names `{name}`, which does not exist")
    return sums


def _read_part(folder: Path, name: str, sums: Mapping[str, str]) -> Any:
    tensors: dict[str, Tensor] = {}
    for file in (f"{name}.json", f"{name}.safetensors"):
        if file in sums and _sha256(folder / file) != sums[file]:
            raise _damaged(folder / file, "its checksum does not match")
    if f"{name}.json" not in sums:
        raise _damaged(folder / f"{name}.json", "it is missing")
    if f"{name}.safetensors" in sums:
        tensors = load_file(folder / f"{name}.safetensors")
    return _decode(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), tensors)


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes a safetensors file with the same permissions as other files of this process."""
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path)  # replaces the file by one that only the owner can read
    path.chmod(mode)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, why: str) -> DsdError:
    return DsdError(f"the checkpoint file `{path}` is damaged: {why}", help="delete its folder, or use `--fresh`")


def weights_fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A sha256 over names, dtypes, shapes and bytes of a state_dict."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
