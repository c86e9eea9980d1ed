"""Two processes, each with its half of the data, and what they must equal: one process that averages their gradients.

    torchrun --nproc-per-node 2 trainer_ranks.py lightning|transformers FOLDER [RESUMED CHECKPOINT]

A batch of one process has two samples, so that a pass has as many updates as that of the plain loop. The two gradients
are added to the last bit alike, in whichever order.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from several_ranks import LOOPBACK
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, Subset
from trainer_loops import ACCUMULATION, CLIP, SPARSE, UPDATES, adamw, dataset, network

import dsd_lang
from dsd_runtime import attach

RANKS, BATCH = 2, 2
HERE = Path(__file__).resolve().parent


def seed(rank: int) -> int:
    """Every process draws other random numbers."""
    return 5 + rank


class Rank:
    """One process of the loop in one process: its batches and its random generator."""

    def __init__(self, rank: int, rows: list[int], *, has_own_generator: bool) -> None:
        torch.manual_seed(seed(rank))
        self._state = torch.get_rng_state()
        generator = torch.Generator() if has_own_generator else None
        self._loader = DataLoader(Subset(dataset(), rows), batch_size=BATCH, generator=generator)
        self._batches: Any = None
        self.count = len(self._loader)

    def start_pass(self) -> None:
        torch.set_rng_state(self._state)
        self._batches = iter(self._loader)
        self._state = torch.get_rng_state()

    def gradients(self, model: nn.Module, batches: int, divisor: int) -> list[Tensor]:
        """Of an accumulation, divided by the number of processes."""
        model.zero_grad()
        torch.set_rng_state(self._state)
        for _ in range(batches):
            x, y = next(self._batches)
            (nn.functional.cross_entropy(model(x), y) / divisor).backward()
        self._state = torch.get_rng_state()
        return [weight.grad / RANKS for weight in model.parameters() if weight.grad is not None]


def one_process(rows: list[list[int]], *, last_accumulation: int, has_own_generator: bool) -> dict[str, Tensor]:
    """The weights and masks of a loop in one process over the samples of both."""
    ranks = [Rank(index, own, has_own_generator=has_own_generator) for index, own in enumerate(rows)]
    model = network()
    session = attach(dsd_lang.compile(SPARSE), model, adamw(model), steps_per_epoch=UPDATES)
    while not session.done:
        for rank in ranks:
            rank.start_pass()
        for first in range(0, ranks[0].count, ACCUMULATION):
            batches = min(ACCUMULATION, ranks[0].count - first)
            session.begin_step()
            divisor = ACCUMULATION if batches == ACCUMULATION else last_accumulation
            both = [rank.gradients(model, batches, divisor) for rank in ranks]
            for weight, one, other in zip(model.parameters(), *both, strict=True):
                weight.grad = one + other
            session.step(clip=CLIP)
    return kept(model, session.masks)


def kept(model: nn.Module, masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the weights and masks by name."""
    weights = {name: value.detach().clone() for name, value in model.named_parameters()}
    return {**weights, **{f"mask of {name.removeprefix('network.')}": mask.clone() for name, mask in masks.items()}}


def assert_equal(found: list[dict[str, Tensor]], expected: dict[str, Tensor]) -> None:
    """Every process has the weights and masks of the one, bit by bit."""
    assert [name for name in expected if name.startswith("mask of ")]
    for own in found:
        assert own.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(own[name].view(torch.uint8), value.view(torch.uint8)), name


def padded(count: int) -> list[int]:
    """Samples in order; the last batch is filled up from the first."""
    return [index % count for index in range(-(-count // RANKS) * RANKS)]


def trained(trainer: str, folder: Path, *resumed: str) -> list[dict[str, Tensor]]:
    """What each process of `torchrun` ends with."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launch = ("--nproc-per-node", str(RANKS), "--master-addr", "127.0.0.1", "--master-port", str(port))
    paths = (HERE, HERE.parents[1], *filter(None, [os.environ.get("PYTHONPATH")]))
    own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": LOOPBACK}
    command = [sys.executable, "-m", "torch.distributed.run", *launch, __file__, trainer, str(folder), *resumed]
    ended = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, timeout=240, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return [torch.load(folder / f"result-{rank}", weights_only=True) for rank in range(RANKS)]


def in_lightning(folder: Path, resumed: str | None) -> dict[str, Tensor]:
    from lightning.pytorch.callbacks import ModelCheckpoint
    from test_lightning import Module, trainer

    from dsd_runtime.integrations.lightning import SparsitySchedule

    class Seeded(Module):
        def on_train_start(self) -> None:
            if not self.trainer.global_step:
                torch.manual_seed(seed(self.trainer.global_rank))

    schedule, module = SparsitySchedule(SPARSE, events=folder / "events"), Seeded()
    order = DistributedSampler(dataset(), RANKS, int(os.environ["RANK"]), shuffle=False)  # Lightning's own shuffles
    loader = DataLoader(dataset(), batch_size=BATCH, sampler=order, generator=torch.Generator())
    keeper = ModelCheckpoint(folder, save_top_k=-1, filename="{epoch}")
    runs = trainer(schedule, callbacks=[keeper], enable_checkpointing=True, strategy="ddp", devices=RANKS,
                   use_distributed_sampler=False)  # fmt: skip
    runs.fit(module, loader, ckpt_path=resumed, weights_only=True if resumed else None)
    assert schedule.session.done
    return kept(module.network, schedule.session.masks)


def in_transformers(folder: Path, resumed: str | None) -> dict[str, Tensor]:
    from test_transformers import build

    from dsd_runtime.integrations.transformers import SparsitySchedule

    schedule = SparsitySchedule(SPARSE, events=folder / "events")
    runs = build(schedule, folder, per_device_train_batch_size=BATCH, ddp_backend="gloo", save_strategy="steps",
                 save_steps=2 * UPDATES - 1)  # fmt: skip
    runs.train(resume_from_checkpoint=resumed)
    assert schedule.session.done
    assert runs.args.world_size == RANKS
    return kept(runs.model.network, schedule.session.masks)


def main() -> None:
    trainer, folder, *resumed = sys.argv[1:]
    torch.set_num_threads(1)
    act = {"lightning": in_lightning, "transformers": in_transformers}[trainer]
    found = act(Path(folder), resumed[0] if resumed else None)
    torch.save(found, Path(folder) / f"result-{os.environ['RANK']}")


if __name__ == "__main__":
    main()
