"""What a schedule costs in other people's trainers: an update with it against one without, and the pruning of others.

    python benchmarks/trainers.py [--rounds 5] [--updates 60]

A network of 784-1024-1024-10 at batch 128 (SGD with momentum), half of its weights pruned, one thread. Every trainer
runs in turn in each round; the figure is the median processor time of an update in the second pass over the data
(Lightning's own callback prunes at the end of a pass), beside the same trainer's without pruning. "zeros" is the share
of pruned weights whose stored value is exactly 0 after the last update.

`ModelPruning` (Lightning) prunes by `torch.nn.utils.prune`, which leaves the stored values (`weight_orig`) as they are.
fasterai's callback, in fastai's trainer, is measured where both are installed (`pip install fasterai python-fasthtml`;
one of fastai's dependencies needs the latter).
"""

from __future__ import annotations

import argparse
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import ModelPruning
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from dsd_runtime.integrations.lightning import SparsitySchedule as LightningSchedule
from dsd_runtime.integrations.transformers import SparsitySchedule as TransformersSchedule

BATCH = 128
PROGRAM = "sparse 50% {updates}it lr=0.01"


class Timed(NamedTuple):
    """Milliseconds of processor time for an update; the share of pruned weights that are 0."""

    milliseconds: float
    zeros: float


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))


def samples(updates: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(BATCH * updates, 784), torch.randint(0, 10, (BATCH * updates,))


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def zeros_of(model: nn.Module) -> float:
    """Of half of the weights (the buffers of `torch.nn.utils.prune` are looked through)."""
    matrices = [value for name, value in model.named_parameters() if value.dim() == 2 and "mask" not in name]
    return sum(int((value == 0).sum()) for value in matrices) / (0.5 * sum(value.numel() for value in matrices))


class Clock:
    """The processor time between the ends of updates."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def tick(self) -> None:
        self.ends.append(time.process_time())

    def median(self) -> float:
        """Over the second pass without its first updates."""
        timed = self.ends[len(self.ends) // 2 + 5 :]
        pairs = pairwise(timed)
        return 1000 * statistics.median(after - before for before, after in pairs)


# --- Lightning --------------------------------------------------------------------------------------------------------


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer_of(self)


class LightningClock(lightning.Callback, Clock):
    def __init__(self) -> None:
        Clock.__init__(self)

    def on_train_batch_end(self, *arguments: Any, **options: Any) -> None:
        self.tick()


def in_lightning(updates: int, *callbacks: lightning.Callback) -> Timed:
    clock, module = LightningClock(), Module()
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=2, callbacks=[*callbacks, clock], default_root_dir=folder, logger=False, accelerator="cpu",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(module, DataLoader(TensorDataset(*samples(updates // 2)), batch_size=BATCH))
    return Timed(clock.median(), zeros_of(module))


def pruning_of_lightning() -> ModelPruning:
    """Half of the weights once, after the first pass."""
    return ModelPruning("l1_unstructured", amount=0.5, apply_pruning=lambda epoch: epoch == 0,
                        make_pruning_permanent=False, use_lottery_ticket_hypothesis=False)  # fmt: skip


# --- Transformers -----------------------------------------------------------------------------------------------------


class Rows(Dataset[dict[str, Tensor]]):
    """Samples as the trainer wants them."""

    def __init__(self, updates: int) -> None:
        self._inputs, self._targets = samples(updates)

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"inputs": self._inputs[index], "labels": self._targets[index]}


class WithLoss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": nn.functional.cross_entropy(self.network(inputs), labels)}


class TransformersClock(TrainerCallback, Clock):  # type: ignore[misc]
    def __init__(self) -> None:
        Clock.__init__(self)

    def on_step_end(self, *arguments: Any, **options: Any) -> None:
        self.tick()


def in_transformers(updates: int, schedule: TransformersSchedule | None) -> Timed:
    clock, model = TransformersClock(), WithLoss()
    optimizer = optimizer_of(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=updates, per_device_train_batch_size=BATCH, use_cpu=True, report_to=[], max_grad_norm=0.0,
            save_strategy="no", logging_strategy="no", disable_tqdm=True, lr_scheduler_type="constant",
        )  # fmt: skip
        callbacks = [clock] if schedule is None else [schedule, clock]
        trainer = Trainer(model, arguments, train_dataset=Rows(updates // 2), callbacks=callbacks,
                          optimizers=(optimizer, None if schedule is None else schedule.rates))  # fmt: skip
        trainer.train()
    return Timed(clock.median(), zeros_of(model))


# --- fastai -----------------------------------------------------------------------------------------------------------


def in_fastai(updates: int, *, is_pruned: bool) -> Timed:
    """With fasterai's callback, which prunes halfway, before the second pass."""
    from fastai.callback.core import Callback
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader as Loader
    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper
    from fasterai.sparse.all import SparsifyCallback, large_final, one_shot

    class FastaiClock(Callback, Clock):  # type: ignore[misc]
        order = 1000  # after all others

        def __init__(self) -> None:
            Clock.__init__(self)

        def after_batch(self) -> None:
            if self.training:
                self.tick()

    clock, model, data = FastaiClock(), network(), TensorDataset(*samples(updates // 2))
    loaders = DataLoaders(Loader(data, bs=BATCH), Loader(data, bs=BATCH), device=torch.device("cpu"))
    sgd = partial(OptimWrapper, opt=partial(torch.optim.SGD, momentum=0.9))
    learner = Learner(loaders, model, loss_func=nn.functional.cross_entropy, opt_func=sgd)
    pruning = (
        [SparsifyCallback(50, "weight", "local", large_final, one_shot, layer_type=nn.Linear)] if is_pruned else []
    )
    with redirect_stdout(io.StringIO()), learner.no_bar(), learner.no_logging():
        learner.fit(2, 0.01, cbs=[*pruning, clock])
    return Timed(clock.median(), zeros_of(model))


def ways(updates: int) -> dict[str, Callable[[], Timed]]:
    """By name; the first of each trainer is without pruning."""
    program = PROGRAM.format(updates=updates)
    peers = {
        "fastai": lambda: in_fastai(updates, is_pruned=False),
        "fastai, fasterai": lambda: in_fastai(updates, is_pruned=True),
    }
    return {
        "Lightning": lambda: in_lightning(updates),
        "Lightning, SparsitySchedule": lambda: in_lightning(updates, LightningSchedule(program)),
        "Lightning, ModelPruning": lambda: in_lightning(updates, pruning_of_lightning()),
        "Transformers": lambda: in_transformers(updates, None),
        "Transformers, SparsitySchedule": lambda: in_transformers(updates, TransformersSchedule(program)),
        **(peers if find_spec("fasterai") and find_spec("fastai") else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=60)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning").setLevel(logging.ERROR)
    found: dict[str, list[Timed]] = {}
    for _ in range(chosen.rounds):
        for name, run in ways(chosen.updates).items():
            found.setdefault(name, []).append(run())
    print("| an update in | ms | ratio | zeros |\n|---|--:|--:|--:|")
    for name, timed in found.items():
        plain = found[name.partition(",")[0]]
        ratios = [one.milliseconds / other.milliseconds for one, other in zip(timed, plain, strict=True)]
        print(f"| {name} | {statistics.median(one.milliseconds for one in timed):.2f} "
              f"| {statistics.median(ratios):.3f} | {timed[-1].zeros:.4f} |")  # fmt: skip


if __name__ == "__main__":
    main()
