"""The callback for Lightning: the plain loop's numbers, resume from its own checkpoint, what it refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import trainer_loops
import trainer_ranks
from torch import Tensor, nn
from trainer_loops import (
    ACCUMULATION,
    CLIP,
    ENFORCED,
    GROUPED,
    MOVING,
    SPARSE,
    UPDATES,
    adamw,
    assert_equal_bits,
    network,
)  # fmt: skip

import dsd_lang
from dsd_runtime import DsdWarning
from dsd_runtime.masks.selection import select_exactly

lightning = pytest.importorskip("lightning.pytorch", reason="needs the extra `lightning`")

from dsd_runtime.integrations.lightning import SparsitySchedule  # noqa: E402


class Module(lightning.LightningModule):
    """The network of the plain loop."""

    def __init__(self, *, log: str = "val_loss", value: float | None = None) -> None:
        super().__init__()
        self.network, self.log_name, self.value = network(), log, value

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log(self.log_name, loss if self.value is None else self.value)

    def configure_optimizers(self) -> Any:
        return adamw(self)

    def on_train_start(self) -> None:
        if not self.trainer.global_step:
            torch.manual_seed(5)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # Lightning may write where it runs
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning|torch")
        yield


def trainer(schedule: SparsitySchedule, **options: Any) -> Any:
    settings: dict[str, Any] = {
        "max_epochs": 3, "accumulate_grad_batches": ACCUMULATION, "gradient_clip_val": CLIP, "logger": False,
        "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
        "accelerator": "cpu", "num_sanity_val_steps": 0,
    }  # fmt: skip
    settings |= options
    return lightning.Trainer(callbacks=[*settings.pop("callbacks", []), schedule], **settings)


def loader() -> torch.utils.data.DataLoader[Any]:
    """With a generator of its own: Lightning starts the first pass before the training starts."""
    return trainer_loops.loader(generator=torch.Generator())


def plain_loop(text: str = SPARSE, *, clip: float | None = CLIP) -> tuple[nn.Module, dict[str, Tensor]]:
    return trainer_loops.plain_loop(text, clip=clip, generator=torch.Generator())


def fit(text: str = SPARSE, module: Module | None = None, **options: Any) -> tuple[SparsitySchedule, Module, Any]:
    schedule, module = SparsitySchedule(text, seed=0), module or Module()
    runs = trainer(schedule, **options)
    runs.fit(module, loader())
    return schedule, module, runs


@pytest.mark.parametrize("text", [SPARSE, GROUPED, ENFORCED, MOVING])
def test_it_is_equal_to_the_plain_loop(text: str) -> None:
    expected, masks = plain_loop(text)
    schedule, module, _ = fit(text)
    assert schedule.session.done
    assert_equal_bits(module.network, expected)
    found = schedule.session.masks
    assert all(torch.equal(found[f"network.{name}"], mask) for name, mask in masks.items())


@pytest.mark.parametrize("text", [SPARSE, GROUPED, ENFORCED, MOVING])
def test_it_resumes_bit_identical_from_lightnings_own_checkpoint(tmp_path: Path, text: str) -> None:
    _, whole, _ = fit(text)
    keeper = lightning.callbacks.ModelCheckpoint(tmp_path, save_top_k=-1, filename="{epoch}")
    fit(text, callbacks=[keeper], enable_checkpointing=True)
    torch.manual_seed(99)  # a fresh process has other random numbers
    schedule, module = SparsitySchedule(text), Module()
    resumed = trainer(schedule)
    resumed.fit(module, loader(), ckpt_path=str(tmp_path / "epoch=1.ckpt"), weights_only=True)
    assert schedule.session.done
    assert resumed.global_step == schedule.session.total_updates == 3 * UPDATES
    assert schedule.session.events[0].kind == "enter"
    assert_equal_bits(module, whole)


@pytest.mark.parametrize(
    "text", [SPARSE.replace("9it", "9it clip=0.02"), "sparse 50% 5it lr=1e-2; dense 3it restore=saved"]
)
def test_a_clip_and_restored_weights_of_the_schedule(text: str) -> None:
    expected, _ = plain_loop(text, clip=None)
    schedule, module, runs = fit(text, gradient_clip_val=None)
    assert schedule.session.done
    assert runs.global_step == schedule.session.total_updates
    assert_equal_bits(module.network, expected)


def test_the_training_ends_with_the_schedule_within_an_epoch() -> None:
    schedule, _, runs = fit("dense 3it lr=1e-2; sparse 50% 2it", max_epochs=50)
    assert schedule.session.done
    assert runs.global_step == 5


@pytest.mark.parametrize("log", ["val_loss", "val/loss"])
def test_validation_metrics_end_a_phase(log: str) -> None:
    module = Module(log=log, value=0.25)
    schedule = SparsitySchedule("dense 2ep lr=1e-2 until val.loss < 0.5; sparse 50% 1ep")
    trainer(schedule, val_check_interval=3).fit(module, loader(), loader())  # within an accumulation
    events = [(event.kind, event.update) for event in schedule.session.events if event.kind in ("stop", "exit")]
    assert events[0] == ("stop", 2)  # reported when the accumulation was complete
    assert schedule.session.done


def scaled(scaler: Any) -> dict[str, Any]:
    from lightning.pytorch.plugins import MixedPrecision

    return {"plugins": [MixedPrecision("16-mixed", "cpu", scaler)], "gradient_clip_val": None}


class Overflowing(Module):
    """The loss of one accumulation is infinite."""

    fused: bool | None = None

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        return loss * float("inf") if self.trainer.global_step == 1 and not self.trainer.current_epoch else loss

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-2, fused=self.fused)


@pytest.mark.parametrize("fused", [None, True])
def test_an_update_that_the_scaler_skips_advances_nothing(fused: bool | None) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    module = Overflowing()
    module.fused = fused
    with pytest.warns(DsdWarning, match="ended after"):
        schedule, _, runs = fit("dense 4it lr=1e-2; sparse 50% 8it", module, **scaled(scaler))
    assert scaler.get_scale() < 64.0
    skipped = runs.global_step - schedule.session.total_updates
    assert skipped >= 1
    assert schedule.session.phase.mode == "sparse"


def test_masks_move_where_gradients_are_unscaled_before_the_step() -> None:
    text = "dense 4it lr=1e-2; sparse 50% 8it update=rigl(every=2it)"
    with pytest.warns(DsdWarning, match="ended after"):
        schedule, _, _ = fit(text, Overflowing(), **scaled(torch.amp.GradScaler("cpu", init_scale=64.0)))
    assert [event.update for event in schedule.session.events if event.kind == "move"] == [6, 8]
    fused = Overflowing()
    fused.fused = True
    with pytest.raises(dsd_lang.DsdError, match="has `update=`, and a fused optimizer unscales its gradients only"):
        fit(text, fused, **scaled(torch.amp.GradScaler("cpu", init_scale=64.0)))


def with_scheduler(optimizer: Any) -> Any:
    return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class Returning(Module):
    """Its `configure_optimizers()` returns what a function makes of AdamW."""

    def __init__(self, returned: Callable[[Any], Any]) -> None:
        super().__init__()
        self.returned = returned

    def configure_optimizers(self) -> Any:
        return self.returned(adamw(self))


def manual() -> Module:
    module = Module()
    module.automatic_optimization = False
    return module


def accumulating() -> Any:
    return lightning.callbacks.GradientAccumulationScheduler({0: 1, 1: 2})


REFUSED: dict[str, tuple[str, Callable[[], Module], dict[str, Any], str]] = {
    "scheduler": (SPARSE, lambda: Returning(with_scheduler), {}, "returns the scheduler `StepLR`"),
    "manual": (SPARSE, manual, {"gradient_clip_val": None, "accumulate_grad_batches": 1}, "automatic_optimization = F"),
    "two clips": (SPARSE.replace("8it", "8it clip=1"), Module, {}, "gradient_clip_val=0.05"),
    "too short": (SPARSE, Module, {"max_epochs": 2}, "the schedule has 12 updates, and the trainer ends after 8"),
    "another optimizer": ("dense 1ep lr=0.1; sparse 50% opt=sgd 1ep", Module, {}, "has `opt=sgd`, and the trainer"),
    "another batch": ("dense 1ep lr=0.1; sparse 50% batch=8 1ep", Module, {}, "another `batch=`"),
    "endless": (SPARSE, Module, {"min_epochs": 9, "max_epochs": 9}, "the schedule has ended, and the trainer goes on"),
    "accumulation": (SPARSE, Module, {"accumulate_grad_batches": 1, "callbacks": accumulating}, "changes the number"),
}


@pytest.mark.parametrize(("text", "module", "options", "told"), REFUSED.values(), ids=list(REFUSED))
def test_what_a_trainer_cannot_follow_is_refused(
    text: str, module: Callable[[], Module], options: dict[str, Any], told: str
) -> None:
    options = {name: [value()] if name == "callbacks" else value for name, value in options.items()}
    text = text.replace("9it", "9it clip=1") if told.startswith("gradient_clip") else text
    with pytest.raises(dsd_lang.DsdError) as refused:
        fit(text, module(), **options)
    assert told in str(refused.value)


def test_a_checkpoint_without_the_schedule_is_refused(tmp_path: Path) -> None:
    plain = lightning.Trainer(max_epochs=1, logger=False, enable_progress_bar=False, accelerator="cpu",
                              enable_model_summary=False, enable_checkpointing=False)  # fmt: skip
    plain.fit(Module(), loader())
    plain.save_checkpoint(tmp_path / "plain.ckpt")
    with pytest.raises(dsd_lang.DsdError, match="no state of a `SparsitySchedule`"):
        trainer(SparsitySchedule(SPARSE)).fit(Module(), loader(), ckpt_path=str(tmp_path / "plain.ckpt"))


def test_a_finished_training_goes_on_with_a_longer_schedule(tmp_path: Path) -> None:
    longer = f"{SPARSE}; dense 4it"
    expected, _ = plain_loop(longer)
    keeper = lightning.callbacks.ModelCheckpoint(tmp_path, save_top_k=-1, filename="{epoch}")
    fit(callbacks=[keeper], enable_checkpointing=True)
    nothing_left, schedule, module = SparsitySchedule(SPARSE), SparsitySchedule(longer), Module()
    saved = str(tmp_path / "epoch=2.ckpt")
    trainer(nothing_left).fit(Module(), loader(), ckpt_path=saved, weights_only=True)
    with pytest.raises(ValueError, match="leaves nothing to train"):
        _ = nothing_left.session
    trainer(schedule, max_epochs=4).fit(module, loader(), ckpt_path=saved, weights_only=True)
    assert schedule.session.done
    assert_equal_bits(module.network, expected)


@pytest.mark.slow
def test_two_processes_are_equal_to_one_and_resume_in_the_sparse_phase(tmp_path: Path) -> None:
    order = trainer_ranks.padded(len(trainer_loops.dataset()))
    rows = [order[rank :: trainer_ranks.RANKS] for rank in range(trainer_ranks.RANKS)]  # by Lightning's sampler
    expected = trainer_ranks.one_process(rows, last_accumulation=ACCUMULATION, has_own_generator=True)
    trainer_ranks.assert_equal(trainer_ranks.trained("lightning", tmp_path), expected)
    saved = str(tmp_path / "epoch=1.ckpt")
    trainer_ranks.assert_equal(trainer_ranks.trained("lightning", tmp_path, saved), expected)
    assert len(list((tmp_path / "events").rglob("events.out.*"))) == 2  # of the first process, in either run


def test_before_the_training_there_is_no_session() -> None:
    with pytest.raises(ValueError, match="from the start of the training"):
        _ = SparsitySchedule(SPARSE).session
    assert SparsitySchedule(SPARSE).state_dict() == {}


def test_the_curves_have_the_names_of_dsd_run(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    schedule = SparsitySchedule(SPARSE, events=tmp_path / "events")
    trainer(schedule).fit(Module(), loader(), loader())
    read = accumulator.EventAccumulator(str(tmp_path / "events" / "main"))
    read.Reload()
    assert {"curves/loss", "curves/lr", "curves/val.loss", "sparsity/network.0.weight"} <= set(read.Tags()["scalars"])
    assert "weights/network.0.weight" in read.Tags()["histograms"]
    assert read.Scalars("curves/loss")[-1].step == 12


def test_a_score_that_needs_batches_prunes_before_the_first_update() -> None:
    def loss_of(module: nn.Module, batch: Any) -> Tensor:
        return module.training_step(batch, 0)  # type: ignore[no-any-return, operator]

    batches = list(trainer_loops.loader(generator=torch.Generator()))
    schedule, module = SparsitySchedule("sparse 50% 12it lr=1e-2 by=snip", score=(loss_of, batches)), Module()
    weight = module.network[0].weight.detach().clone()
    trainer(schedule).fit(module, loader())
    assert schedule.session.done
    mask = schedule.session.masks["network.0.weight"]
    assert int(mask.sum()) == weight.numel() // 2
    assert not torch.equal(mask, select_exactly(weight.abs(), weight.numel() // 2))
