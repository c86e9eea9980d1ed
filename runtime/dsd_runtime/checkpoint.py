"""State in, a folder on disk out, and back: tensors as safetensors, the rest as JSON, nothing pickled.

A checkpoint is a folder. It is written under a temporary name, every file and folder is flushed to the disk, and then
renamed: at any moment it is there whole or not at all. `checksums.json` holds the sha256 of every file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dsd_lang.errors import DsdError

_CHECKSUMS = "checksums.json"
_TEMPORARY_PREFIX = ".writing-"


class DiskFull(DsdError):
    """No room for a checkpoint; what was saved before is untouched."""


def save_checkpoint(folder: Path, parts: Mapping[str, Any]) -> None:
    """Writes each part (a tree of tensors and plain data) as `<name>.safetensors` and `<name>.json` into a new folder.

    Raises :class:`DiskFull` or :class:`DsdError` when the disk refuses; nothing half-written stays behind.
    """
    temporary = folder.with_name(f"{_TEMPORARY_PREFIX}{folder.name}-{os.getpid()}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, tree in parts.items():
            _write_part(temporary, name, tree)
        sums = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        _write_text(temporary / _CHECKSUMS, json.dumps(sums, indent=1))
        _flush_folder(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(temporary, folder)
        _flush_folder(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _write_failure(folder, error) from error


def load_checkpoint(folder: Path, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The parts of a checkpoint (all, or those named), each verified against its checksum.

    Raises :class:`DsdError` naming the file that is missing or damaged.
    """
    try:
        sums: dict[str, str] = json.loads((folder / _CHECKSUMS).read_text())
    except (OSError, ValueError) as error:
        raise _damaged(folder / _CHECKSUMS, str(error)) from error
    wanted = list(names) if names is not None else [name[:-5] for name in sums if name.endswith(".json")]
    return {name: _read_part(folder, name, sums) for name in wanted}


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """One safetensors file under the weights' own names, atomically; tied weights are written under each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{path.name}-{os.getpid()}")
    try:
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}, temporary)
        _flush_file(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise _write_failure(path, error) from error


def is_complete(folder: Path) -> bool:
    """Whether a checkpoint is there (by its checksums file; the contents are verified when loaded)."""
    return (folder / _CHECKSUMS).is_file()


def numbered(folder: Path, prefix: str) -> list[Path]:
    """The complete checkpoints `<prefix>-<number>` in a folder, the latest last."""
    if not folder.is_dir():
        return []
    found = [
        path for path in folder.glob(f"{prefix}-*") if path.name[len(prefix) + 1 :].isdigit() and is_complete(path)
    ]
    return sorted(found, key=lambda path: int(path.name[len(prefix) + 1 :]))


def remove_leftovers(folder: Path) -> None:
    """Deletes what a killed process left half-written anywhere below a folder."""
    for path in folder.rglob(f"{_TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """A JSON file, written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{path.name}-{os.getpid()}")
    try:
        _write_text(temporary, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _write_failure(path, error) from error


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
    """The tensor on the CPU, contiguous, sharing memory with no other tensor of the file."""
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
        save_file(tensors, folder / f"{name}.safetensors")
        _flush_file(folder / f"{name}.safetensors")
    _write_text(folder / f"{name}.json", json.dumps(skeleton))


def _read_part(folder: Path, name: str, sums: Mapping[str, str]) -> Any:
    tensors: dict[str, Tensor] = {}
    for file in (f"{name}.json", f"{name}.safetensors"):
        if file in sums and (not (folder / file).is_file() or _sha256(folder / file) != sums[file]):
            raise _damaged(folder / file, "its checksum does not match")
    if f"{name}.json" not in sums:
        raise _damaged(folder / f"{name}.json", "it is missing")
    if f"{name}.safetensors" in sums:
        tensors = load_file(folder / f"{name}.safetensors")
    return _decode(json.loads((folder / f"{name}.json").read_text()), tensors)


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _flush_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_failure(path: Path, error: Exception) -> DsdError:
    text = str(error).lower()
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or "no space left" in text:
        return DiskFull(
            f"the disk is full: `{path}` could not be written", help="make room and run the same command again"
        )
    return DsdError(f"`{path}` could not be written: {text}")


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
