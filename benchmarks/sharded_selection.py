"""Exact selection over shards against selection by one process: seconds to the mask of the k largest magnitudes.

    torchrun --nproc-per-node 2 benchmarks/sharded_selection.py [--size 25000000] [--rounds 5]

Each process has half of the rows (FSDP2's `Shard(0)`). Before the times are printed, the masks are compared with those
of one process, bit by bit, with and without ties.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from dsd_runtime.masks import Pruned, choose_masks
from dsd_runtime.masks.shards import own_rows

ROW = 1000


def median(act: Callable[[], object], rounds: int) -> float:
    """Seconds from when all processes begin until the last has ended; one round warms up."""
    laps = []
    for _ in range(rounds + 1):
        dist.barrier()
        start = time.perf_counter()
        act()
        dist.barrier()
        laps.append(time.perf_counter() - start)
    return statistics.median(laps[1:])


def gathered_then_sorted(weight: Tensor, keep: int) -> Tensor:
    """What a program without sharded selection does: all weights to every process, then `torch.topk`."""
    whole = weight.full_tensor().abs().reshape(-1)  # type: ignore[attr-defined]
    mask = torch.zeros_like(whole, dtype=torch.bool)
    mask[torch.topk(whole, keep, sorted=False).indices] = True
    return mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    mesh, half = init_device_mesh("cpu", (dist.get_world_size(),)), Pruned(Fraction(1, 2))
    whole = torch.randn(wanted.size // ROW, ROW, generator=torch.Generator().manual_seed(0))
    seconds = {}
    for kind, weights in (("no ties", whole), ("many ties", whole.mul(4).round())):
        shards = {"w": distribute_tensor(weights, mesh, [Shard(0)])}
        expected = own_rows(choose_masks(weights={"w": weights}, target=half).masks["w"], shards["w"])
        wrong = int((choose_masks(weights=shards, target=half).masks["w"] != expected).sum())
        assert not wrong, f"{wrong} wrong bits with {kind}"
        choose = partial(choose_masks, weights=shards, target=half)
        seconds[f"over the shards, {kind}"] = median(choose, wanted.rounds)
    alone = partial(choose_masks, weights={"w": whole}, target=half)
    seconds["by each process, of whole weights"] = median(alone, wanted.rounds)
    weight = distribute_tensor(whole, mesh, [Shard(0)])
    seconds["gathered, then torch.topk"] = median(lambda: gathered_then_sorted(weight, wanted.size // 2), 1)
    if dist.get_rank() == 0:
        print(f"{wanted.size:,} weights over {dist.get_world_size()} processes, one thread each; 0 wrong bits\n")
        print("| selection | s |\n|---|---|")
        for name, value in seconds.items():
            print(f"| {name} | {value:.3f} |")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
