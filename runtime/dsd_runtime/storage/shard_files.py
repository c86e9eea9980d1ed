"""Sharded tensors (FSDP2) in a checkpoint: each process writes its own rows, and any number of processes reads them.

It is a storage for `torch.distributed.checkpoint`, which plans who writes and who reads what. Rows are in
`<part>-00001-of-00003.safetensors`, one file a process, and `shards.json` says which rows are where; nothing is
pickled. The folder is written under a temporary name, and renamed by the first process when all have written.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner, WriteItem
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.shards import processes_of
from dsd_runtime.storage.durable import flush_file, write_failure, writing
from dsd_runtime.storage.tensor_files import SHARD_INDEX, damaged, own_memory, require_sound, sha256_of, write_tensors

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

Sums = Mapping[str, str]


def save_shards(
    folder: Path,
    tensors: Mapping[str, Tensor],
    write_rest: Callable[[Path, dict[str, Any], Sums], None],
    *,
    is_flushed: bool,
) -> None:
    """Writes sharded tensors, named `part/tensor`; all processes call it, and an error is that of all.

    ``write_rest`` is called in the first process: with the unfinished folder, the index, and the checksums so far.
    """
    writer = ShardWriter(folder, write_rest, is_flushed=is_flushed)
    planner = DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    group = processes_of(tensors.values()).group
    try:
        with writer:
            save(dict(tensors), storage_writer=writer, planner=planner, process_group=group)
    except CheckpointException as failed:
        raise _error_of(failed, folder) from failed


def load_shards(
    folder: Path, part: str, index: Mapping[str, Any], sums: Sums, mesh: DeviceMesh | None
) -> dict[str, Tensor]:
    """The sharded tensors of a part: whole, or with a mesh this process's rows. Nothing is sent."""
    wanted = {name: entry for name, entry in index.items() if name.rpartition("/")[0] == part}
    tensors = {name: _empty(entry, mesh) for name, entry in wanted.items()}
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it is a single process: it may be
            load(tensors, storage_reader=ShardReader(folder, wanted, sums), planner=planner, no_dist=True)
    except CheckpointException as failed:
        raise _error_of(failed, folder) from failed
    return {name.rpartition("/")[2]: value for name, value in tensors.items()}


def _empty(entry: Mapping[str, Any], mesh: DeviceMesh | None) -> Tensor:
    dtype: torch.dtype = getattr(torch, entry["dtype"])
    if mesh is None:
        return torch.empty(entry["shape"], dtype=dtype)
    from torch.distributed.tensor import Shard, empty

    return empty(*entry["shape"], dtype=dtype, device_mesh=mesh, placements=[Shard(0)])


def _error_of(failed: CheckpointException, folder: Path) -> Exception:
    """The first process's error, if it is one of this program or of the disk."""
    error = failed.failures[min(failed.failures)][0]
    if isinstance(error, OSError | SafetensorError):
        return write_failure(folder, error)
    if isinstance(error, DsdError):
        return error
    return RuntimeError(str(failed))


class ShardWriter(StorageWriter):
    """Writes each process's rows of all tensors; the first process publishes the folder."""

    def __init__(
        self, folder: Path, write_rest: Callable[[Path, dict[str, Any], Sums], None], *, is_flushed: bool
    ) -> None:
        self._folder, self._write_rest, self._is_flushed = folder, write_rest, is_flushed
        self._publishing = ExitStack()
        self._unfinished = folder

    def __enter__(self) -> None:
        """Inside the block the folder has a temporary name, if it is there."""

    def __exit__(self, *error: object) -> None:
        self._publishing.__exit__(*sys.exc_info())

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """One writer writes one checkpoint."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """The folder is made when the plans are known to agree."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """The first process makes the folder, and tells each one its name and the number of its files."""
        self._unfinished = self._publishing.enter_context(writing(self._folder, is_flushed=self._is_flushed))
        self._unfinished.mkdir()
        told = [(str(self._unfinished), f"{number:05d}-of-{len(plans):05d}") for number in range(1, len(plans) + 1)]
        return [replace(plan, storage_data=mine) for plan, mine in zip(plans, told, strict=True)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Writes a file for each part of the checkpoint of which this process has rows."""
        unfinished, number = plan.storage_data
        parts: dict[str, list[WriteItem]] = {}
        for item in plan.items:
            if item.tensor_data is not None and item.tensor_data.chunk.sizes.numel():
                parts.setdefault(item.index.fqn.rpartition("/")[0], []).append(item)
        written = Future[list[WriteResult]]()
        try:
            results = [
                one
                for part, items in parts.items()
                for one in _write_rows(Path(unfinished) / f"{part}-{number}.safetensors", items, planner)
            ]
        except (OSError, SafetensorError) as error:
            raise write_failure(self._folder, error) from error
        written.set_result(results)
        return written

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """The first process writes what is not sharded, and gives the folder its name."""
        index: dict[str, Any] = {}
        sums: dict[str, str] = {}
        for name, tensor in metadata.state_dict_metadata.items():
            assert isinstance(tensor, TensorStorageMetadata)
            dtype = str(tensor.properties.dtype).removeprefix("torch.")
            index[name] = {"dtype": dtype, "shape": list(tensor.size), "chunks": []}
        for result in (one for several in results for one in several):
            file, checksum, shape = result.storage_data
            index[result.index.fqn]["chunks"].append([file, list(result.index.offset or ()), shape])
            sums[file] = checksum
        self._write_rest(self._unfinished, index, sums)
        self._publishing.close()

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Checkpoints have paths, which are given to the writer itself."""
        return False


def _write_rows(path: Path, items: list[WriteItem], planner: SavePlanner) -> list[WriteResult]:
    seen: set[int] = set()
    rows = {}
    for item in items:
        own = planner.resolve_data(item)
        assert isinstance(own, Tensor)
        rows[item.index.fqn.rpartition("/")[2]] = own_memory(own, seen)
    write_tensors(path, rows)
    flush_file(path)
    told = (path.name, sha256_of(path))
    return [
        WriteResult(item.index, value.nbytes, (*told, list(value.shape)))
        for item, value in zip(items, rows.values(), strict=True)
    ]


class ShardReader(StorageReader):
    """Reads the rows that a process needs, whoever has written them; each file that it opens is verified."""

    def __init__(self, folder: Path, index: Mapping[str, Any], sums: Sums) -> None:
        self._folder, self._index, self._sums = folder, index, sums
        self._files: dict[MetadataIndex, str] = {}

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """One reader reads one checkpoint."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        return Metadata({name: _metadata_of(entry) for name, entry in self._index.items()})

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Remembers which file has which rows."""
        for name, entry in self._index.items():
            for file, offsets, _ in entry["chunks"]:
                self._files[MetadataIndex(name, torch.Size(offsets))] = file

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Reads file after file."""
        by_file: dict[str, list[ReadItem]] = {}
        for item in plan.items:
            by_file.setdefault(self._files[item.storage_index], []).append(item)
        for file, items in by_file.items():
            self._read_rows(file, items, planner)
        done = Future[None]()
        done.set_result(None)
        return done

    def _read_rows(self, file: str, items: list[ReadItem], planner: LoadPlanner) -> None:
        path = self._folder / file
        if file not in self._sums:
            raise damaged(path, "it has no checksum")
        require_sound(path, self._sums[file])
        with safe_open(path, framework="pt") as rows:
            for item in items:
                start, count = item.storage_offsets[0], item.lengths[0]
                target = planner.resolve_tensor(item).detach()
                target.copy_(rows.get_slice(item.storage_index.fqn.rpartition("/")[2])[start : start + count])
                planner.commit_tensor(item, target)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Checkpoints have paths, which are given to the reader itself."""
        return False


def _metadata_of(entry: Mapping[str, Any]) -> TensorStorageMetadata:
    chunks = [ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)) for _, offsets, sizes in entry["chunks"]]
    properties = TensorProperties(dtype=getattr(torch, entry["dtype"]))
    return TensorStorageMetadata(properties, torch.Size(entry["shape"]), chunks)


def read_index(folder: Path, sums: Sums) -> dict[str, Any]:
    """Which sharded tensors a checkpoint has; none in one of a whole model."""
    if SHARD_INDEX not in sums:
        return {}
    require_sound(folder / SHARD_INDEX, sums[SHARD_INDEX])
    index: dict[str, Any] = json.loads((folder / SHARD_INDEX).read_text(encoding="utf-8"))
    return index
