"""Single files of a checkpoint: safetensors, and checksums of any."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from dsd_lang.base.errors import DsdError

SHARD_INDEX = "shards.json"
"""Which process has written which rows of the sharded tensors of a checkpoint."""


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Writes a safetensors file with the same permissions as other files of this process."""
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path)  # replaces the file by one that only the owner can read
    path.chmod(mode)


def own_memory(value: Tensor, seen: set[int]) -> Tensor:
    """The tensor on the CPU, contiguous, not sharing memory with another tensor of the file."""
    result = value.detach().cpu().contiguous()
    storage = result.untyped_storage()
    if storage.data_ptr() in seen or storage.nbytes() != result.numel() * result.element_size():
        result = result.clone()
    seen.add(result.untyped_storage().data_ptr())
    return result


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_sound(path: Path, checksum: str) -> None:
    """Raises :class:`DsdError` unless a file has that checksum."""
    if sha256_of(path) != checksum:
        raise damaged(path, "its checksum does not match")


def damaged(path: Path, why: str) -> DsdError:
    """The error for a file that cannot be used."""
    return DsdError(f"the checkpoint file `{path}` is damaged: {why}", help="delete its folder, or use `--fresh`")
