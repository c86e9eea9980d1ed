"""Writes and reads checkpoints: tensors as safetensors, everything else as JSON, nothing pickled.

A checkpoint is a folder that is written atomically (durable.py). `checksums.json` has the sha256 of every file. Of
sharded tensors each process writes its own rows (shard_files.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dsd_runtime.storage.durable import COMPLETE_MARK, flush_file, flush_together, write_failure, writing
from dsd_runtime.storage.tensor_files import SHARD_INDEX, damaged, require_sound, sha256_of, write_tensors
from dsd_runtime.storage.trees import EncodedTree, decoded

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def save_checkpoint(folder: Path | str, parts: Mapping[str, Any], *, is_flushed: bool = True) -> None:
    """Writes each part (a tree of tensors and plain data) as `<name>.safetensors` and `<name>.json` into a new folder.

    If a part has sharded tensors (FSDP2), all processes call it: each writes its own rows, by
    `torch.distributed.checkpoint`, and the first one everything else. The folder gets its name when it is complete.

    Its contents are flushed to the disk before it has its name; its name too, unless the caller sees to that. Raises
    :class:`DiskFull` or :class:`DsdError` if writing fails, on all processes; no incomplete file remains.
    """
    folder = Path(folder)
    encoded = {name: EncodedTree(tree) for name, tree in parts.items()}
    shards = {f"{name}/{key}": value for name, part in encoded.items() for key, value in part.shards.items()}
    try:
        if shards:
            _save_sharded(folder, encoded, shards, is_flushed=is_flushed)
            return
        with writing(folder, is_flushed=is_flushed) as unfinished:
            unfinished.mkdir()
            _write_whole(unfinished, encoded, {})
    except SafetensorError as error:
        raise write_failure(folder, error) from error


def load_checkpoint(
    folder: Path | str, names: Iterable[str] | None = None, *, mesh: DeviceMesh | None = None
) -> dict[str, Any]:
    """The parts of a checkpoint (all, or those named), each verified against its checksum.

    Tensors are whole, whoever has written them. With the mesh of a sharded model, those that were written as shards,
    by any number of processes, are shards over it: each process reads its own rows, and nothing is sent.

    Raises :class:`DsdError` naming the file that is missing or damaged.
    """
    folder = Path(folder)
    sums = _read_sums(folder)
    parts = [name[:-5] for name in sums if name.endswith(".json") and name != SHARD_INDEX]
    return {name: _read_part(folder, name, sums, mesh) for name in (parts if names is None else names)}


def load_plain(folder: Path, name: str) -> Any:
    """A part of a checkpoint with None for every tensor, verified; no tensor is read."""
    sums = _read_sums(folder)
    return decoded(_read_skeleton(folder, name, sums), None)


def save_weights(path: Path, weights: Mapping[str, Tensor], *, is_flushed: bool = True) -> None:
    """Writes a safetensors file under the weights' own names, atomically; tied weights under each name.

    It is flushed to the disk, unless the caller sees to that.
    """
    try:
        with writing(path, is_flushed=is_flushed) as unfinished:
            write_tensors(
                unfinished, {name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}
            )
            if is_flushed:
                flush_file(unfinished)
    except SafetensorError as error:
        raise write_failure(path, error) from error


# --- files ------------------------------------------------------------------------------------------------------------


def _save_sharded(
    folder: Path, encoded: Mapping[str, EncodedTree], shards: Mapping[str, Tensor], *, is_flushed: bool
) -> None:
    from dsd_runtime.storage.shard_files import save_shards

    def write_rest(unfinished: Path, index: dict[str, Any], sums: Mapping[str, str]) -> None:
        (unfinished / SHARD_INDEX).write_text(json.dumps(index), encoding="utf-8")
        _write_whole(unfinished, encoded, sums)

    save_shards(folder, shards, write_rest, is_flushed=is_flushed)


def _write_whole(unfinished: Path, encoded: Mapping[str, EncodedTree], sums: Mapping[str, str]) -> None:
    """Writes what is not sharded, and the checksums; ``sums`` are those of the shards."""
    for name, part in encoded.items():
        if part.whole:
            write_tensors(unfinished / f"{name}.safetensors", part.whole)
        (unfinished / f"{name}.json").write_text(json.dumps(part.skeleton), encoding="utf-8")
    own = {path.name: sha256_of(path) for path in sorted(unfinished.iterdir()) if path.name not in sums}
    (unfinished / COMPLETE_MARK).write_text(json.dumps({**own, **sums}, indent=1), encoding="utf-8")
    flush_together([*unfinished.iterdir(), unfinished])


def _read_sums(folder: Path) -> dict[str, str]:
    """The checksums of a checkpoint's files; checks that all these files exist."""
    mark = folder / COMPLETE_MARK
    try:
        sums = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(mark, str(error)) from error
    if not isinstance(sums, dict):
        raise damaged(mark, "it has no checksums")
    for name in sums:
        if not (folder / name).is_file():
            raise damaged(mark, f"it names `{name}`, which does not exist")
    return sums


def _read_skeleton(folder: Path, name: str, sums: Mapping[str, str]) -> Any:
    file = f"{name}.json"
    if file not in sums:
        raise damaged(folder / file, "it is missing")
    require_sound(folder / file, sums[file])
    return json.loads((folder / file).read_text(encoding="utf-8"))


def _read_part(folder: Path, name: str, sums: Mapping[str, str], mesh: DeviceMesh | None) -> Any:
    skeleton = _read_skeleton(folder, name, sums)
    tensors: dict[str, Tensor] = {}
    if (file := f"{name}.safetensors") in sums:
        require_sound(folder / file, sums[file])
        tensors = load_file(folder / file)
    if SHARD_INDEX in sums:
        from dsd_runtime.storage.shard_files import load_shards, read_index

        tensors |= load_shards(folder, name, read_index(folder, sums), sums, mesh)
    return decoded(skeleton, tensors)


def weights_fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A sha256 over names, dtypes, shapes and bytes of a state_dict."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
