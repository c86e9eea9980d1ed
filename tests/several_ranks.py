"""Runs a function in several gloo processes at once, and passes back what each returns."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
"""Named, so that gloo does not look up the machine's own name, which takes seconds where nobody answers."""


def in_ranks(count: int, act: Callable[..., Any], folder: Path, *arguments: Any, seconds: float = 120) -> list[Any]:
    """What ``act(rank, *arguments)`` returns in each of ``count`` new processes; their tracebacks if one fails."""
    folder.mkdir(exist_ok=True)
    context = torch.multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_rank, args=(rank, count, act, str(folder), arguments), daemon=True)
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds)
    hanging = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for rank in hanging:
        processes[rank].kill()
    said = [path.read_text() for rank in range(count) if (path := folder / f"failed-{rank}").exists()]
    assert not said, "\n".join(said)
    assert not hanging, f"ranks {hanging} did not end"
    return [torch.load(folder / f"result-{rank}", weights_only=True) for rank in range(count)]


def _rank(rank: int, count: int, act: Callable[..., Any], folder: str, arguments: tuple[Any, ...]) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = LOOPBACK
    torch.set_num_threads(1)
    try:
        store = dist.FileStore(f"{folder}/store", count)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=count)
        torch.save(act(rank, *arguments), f"{folder}/result-{rank}")
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:  # noqa: BLE001 - told to the parent
        Path(f"{folder}/failed-{rank}").write_text(f"rank {rank}:\n{traceback.format_exc()}")
        os._exit(1)
