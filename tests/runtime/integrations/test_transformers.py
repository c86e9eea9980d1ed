"""The callback for the Transformers trainer: the plain loop's numbers, resume from its checkpoint, what it refuses."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import trainer_loops
import trainer_ranks
from torch import Tensor, nn
from trainer_loops import (
    ACCUMULATION,
    BATCH,
    CLIP,
    ENFORCED,
    GROUPED,
    MOVING,
    SPARSE,
    UPDATES,
    adamw,
    assert_equal_bits,
    network,
    samples,
)  # fmt: skip

import dsd_lang
from dsd_runtime import DsdWarning, attach

transformers = pytest.importorskip("transformers", reason="needs the extra `transformers`")
pytest.importorskip("accelerate", reason="needs the extra `transformers`")

from dsd_runtime.integrations.transformers import SparsitySchedule  # noqa: E402


def plain_loop(text: str = SPARSE, *, clip: float | None = CLIP) -> tuple[nn.Module, dict[str, Tensor]]:
    """The trainer divides the loss of an accumulation by the number of its batches."""
    return trainer_loops.plain_loop(text, clip=clip, last_accumulation=1)


class WithLoss(nn.Module):
    """The network of the plain loop as the trainer calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.network(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Trainer(transformers.Trainer):
    """Draws its batches in order."""

    def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class Seeded(transformers.TrainerCallback):
    """Seeds where the plain loop does."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not state.global_step:
            torch.manual_seed(trainer_ranks.seed(args.process_index))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch|accelerate|transformers")
        yield


def rows() -> list[dict[str, Tensor]]:
    return [{"x": x, "labels": y} for x, y in zip(*samples(), strict=True)]


def build(schedule: SparsitySchedule, folder: Path, optimizers: Any = None, **options: Any) -> Trainer:
    settings: dict[str, Any] = {
        "output_dir": str(folder), "num_train_epochs": 3, "per_device_train_batch_size": BATCH, "use_cpu": True,
        "gradient_accumulation_steps": ACCUMULATION, "max_grad_norm": CLIP, "report_to": "none", "disable_tqdm": True,
        "save_strategy": "no", "logging_steps": 2, "eval_on_start": False,
    }  # fmt: skip
    model = WithLoss()
    given = optimizers(model, schedule) if optimizers else (adamw(model), schedule.rates)
    arguments = transformers.TrainingArguments(**(settings | options))
    return Trainer(model, arguments, train_dataset=rows(), eval_dataset=rows()[:4], callbacks=[Seeded(), schedule],
                   optimizers=given)  # fmt: skip


def train(folder: Path, text: str = SPARSE, **options: Any) -> tuple[SparsitySchedule, Trainer]:
    schedule = SparsitySchedule(text)
    trainer = build(schedule, folder, **options)
    trainer.train()
    return schedule, trainer


@pytest.mark.parametrize("text", [SPARSE, GROUPED, ENFORCED, MOVING])
def test_it_is_equal_to_the_plain_loop(tmp_path: Path, text: str) -> None:
    expected, masks = plain_loop(text)
    schedule, trainer = train(tmp_path, text)
    assert schedule.session.done
    assert_equal_bits(trainer.model.network, expected)
    found = schedule.session.masks
    assert all(torch.equal(found[f"network.{name}"], mask) for name, mask in masks.items())
    assert trainer.args.max_grad_norm == CLIP


def test_the_trainers_own_optimizer_is_driven_by_the_schedule_alone(tmp_path: Path) -> None:
    """AdamW as the trainer builds it, with its two groups; the logged rates are those of the plan."""
    schedule, trainer = train(tmp_path, optimizers=lambda _, schedule: (None, schedule.rates), logging_steps=1)
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    twin = attach(dsd_lang.compile(SPARSE), (model := network()), adamw(model), steps_per_epoch=UPDATES)
    expected = []
    while not twin.done:
        twin.begin_step()
        expected.append(twin.phase.lr)
        twin.optimizer.zero_grad()
        model(samples()[0]).sum().backward()
        twin.step()
    assert rates == expected
    assert schedule.session.done


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (SPARSE, 2 * UPDATES),
        (SPARSE, 2 * UPDATES - 1),
        (GROUPED, 2 * UPDATES - 1),
        (ENFORCED, 2 * UPDATES),
        (MOVING, 2 * UPDATES - 1),
    ],
)
def test_it_resumes_bit_identical_from_the_trainers_own_checkpoint(tmp_path: Path, text: str, at: int) -> None:
    """At the end of an epoch and within one, in the sparse phase."""
    expected, _ = plain_loop(text)
    train(tmp_path, text, save_strategy="steps", save_steps=at)
    torch.manual_seed(99)
    schedule = SparsitySchedule(text)
    resumed = build(schedule, tmp_path)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{at}"))
    assert schedule.session.done
    assert_equal_bits(resumed.model.network, expected)


def test_a_finished_training_goes_on_with_a_longer_schedule(tmp_path: Path) -> None:
    longer = f"{SPARSE}; dense 4it"
    expected, _ = plain_loop(longer)
    train(tmp_path, save_strategy="epoch")
    schedule = SparsitySchedule(longer)
    trainer = build(schedule, tmp_path, num_train_epochs=4)
    trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{3 * UPDATES}"))
    assert schedule.session.done
    assert_equal_bits(trainer.model.network, expected)


@pytest.mark.slow
def test_two_processes_are_equal_to_one_and_resume_in_the_sparse_phase(tmp_path: Path) -> None:
    order, ranks = trainer_ranks.padded(len(rows())), trainer_ranks.RANKS
    batches = [order[first : first + trainer_ranks.BATCH] for first in range(0, len(order), trainer_ranks.BATCH)]
    own = [[index for batch in batches[rank::ranks] for index in batch] for rank in range(ranks)]  # by accelerate
    expected = trainer_ranks.one_process(own, last_accumulation=1, has_own_generator=False)
    trainer_ranks.assert_equal(trainer_ranks.trained("transformers", tmp_path), expected)
    saved = str(tmp_path / f"checkpoint-{2 * UPDATES - 1}")
    trainer_ranks.assert_equal(trainer_ranks.trained("transformers", tmp_path, saved), expected)


def test_the_clip_of_a_phase_and_restored_weights(tmp_path: Path) -> None:
    text = "sparse 50% 5it lr=1e-2 clip=0.02; dense 3it restore=saved"
    expected, _ = plain_loop(text, clip=None)
    schedule, trainer = train(tmp_path, text, max_grad_norm=0.0)
    assert trainer.state.global_step == schedule.session.total_updates == 8
    assert_equal_bits(trainer.model.network, expected)


def test_evaluations_end_a_phase(tmp_path: Path) -> None:
    schedule, trainer = train(
        tmp_path, "dense 2ep lr=1e-2 until val.loss < 100; sparse 50% 1ep", eval_strategy="steps", eval_steps=2
    )
    assert [event.update for event in schedule.session.events if event.kind == "stop"] == [2]
    assert trainer.state.global_step == 2 + UPDATES
    trainer.evaluate()  # afterwards, without the schedule


def overflowing(trainer: Trainer) -> Trainer:
    """The trainer with a gradient scaler, as with fp16 on a GPU, and one infinite loss."""
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    trainer.accelerator.scaler, trainer.accelerator.native_amp = scaler, True
    trainer.accelerator.state._mixed_precision = "fp16"
    usual = trainer.compute_loss

    def loss(*arguments: Any, **named: Any) -> Any:
        found = usual(*arguments, **named)
        return found * float("inf") if trainer.state.global_step == 1 else found

    trainer.compute_loss = loss
    return trainer


def test_an_update_that_the_scaler_skips_advances_nothing(tmp_path: Path) -> None:
    schedule = SparsitySchedule(SPARSE)
    trainer = overflowing(build(schedule, tmp_path))
    try:
        with pytest.warns(DsdWarning, match="ended after 11 of the schedule's 12 updates"):
            trainer.train()
    finally:
        trainer.accelerator.state._mixed_precision = "no"
    assert trainer.state.global_step == 12
    assert trainer.accelerator.scaler.get_scale() == 32.0


def own_scheduler(model: nn.Module, schedule: SparsitySchedule) -> Any:
    optimizer = adamw(model)
    return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)


def trainers_scheduler(model: nn.Module, schedule: SparsitySchedule) -> Any:
    return None, None


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "scheduler": (SPARSE, {"optimizers": own_scheduler}, "the trainer has the scheduler `StepLR`"),
    "own scheduler": (SPARSE, {"optimizers": trainers_scheduler}, "the trainer has the scheduler `LambdaLR`"),
    "too short": (SPARSE, {"num_train_epochs": 2}, "has 12 updates, and the trainer ends after 8"),
    "another optimizer": ("dense 1ep lr=0.1; sparse 50% opt=sgd 1ep", {}, "has `opt=sgd`, and the trainer steps its"),
    "another batch": ("dense 1ep lr=0.1; sparse 50% batch=8 1ep", {}, "another `batch=` than the one before"),
}


@pytest.mark.parametrize(("text", "options", "told"), REFUSED.values(), ids=list(REFUSED))
def test_what_a_trainer_cannot_follow_is_refused(tmp_path: Path, text: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(dsd_lang.DsdError) as refused:
        train(tmp_path, text, **options)
    assert told in str(refused.value)


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_weights_that_the_trainer_deals_out_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    state = SimpleNamespace(distributed_type=SimpleNamespace(value=kind))
    monkeypatch.setattr("dsd_runtime.integrations.transformers.AcceleratorState", lambda: state)
    with pytest.raises(dsd_lang.DsdError, match=rf"deals the weights out to several processes \({kind}\)"):
        train(tmp_path)


def test_processes_that_the_trainer_does_not_see_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without GPUs the trainer ignores `torchrun`, unless it is told to use CPUs."""
    monkeypatch.setattr("dsd_runtime.integrations.transformers.world_size", lambda: 2)
    with pytest.raises(dsd_lang.DsdError, match="2 processes, and the trainer would train a model of its own") as told:
        train(tmp_path)
    assert "use_cpu=True" in str(told.value)


@pytest.mark.parametrize("saved", [{"save_only_model": True}, {}])
def test_a_checkpoint_without_the_schedule_is_refused(tmp_path: Path, saved: dict[str, Any]) -> None:
    model = WithLoss()
    plain = transformers.TrainingArguments(
        str(tmp_path), num_train_epochs=1, use_cpu=True, report_to="none", disable_tqdm=True, **saved
    )
    transformers.Trainer(model, plain, train_dataset=rows()).train()
    with pytest.raises(dsd_lang.DsdError, match="no state of a `SparsitySchedule`"):
        build(SparsitySchedule(SPARSE), tmp_path, lambda _, schedule: (None, schedule.rates)).train(
            resume_from_checkpoint=True
        )


def test_the_curves_have_the_names_of_dsd_run(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    schedule = SparsitySchedule(SPARSE, events=tmp_path / "events")
    build(schedule, tmp_path, eval_strategy="epoch").train()
    read = accumulator.EventAccumulator(str(tmp_path / "events" / "main"))
    read.Reload()
    assert {"curves/loss", "curves/lr", "curves/val.loss", "sparsity/network.0.weight"} <= set(read.Tags()["scalars"])
    assert read.Scalars("curves/loss")[-1].step == 12
