"""The tools of `peer_methods.py` that are callbacks of a trainer."""

from __future__ import annotations

import copy
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peer_probes import SHARE, Plain, Probes, Recurrent, Run, Tied, kept, loader, sgd, shares, train, zeros
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class Lightning(Probes):
    """`ModelPruning` of Lightning: `torch.nn.utils.prune` at the end of an epoch (here of the first)."""

    def plain(self) -> str:
        return self.cut(is_permanent=True, goes_on=False)

    def resume(self) -> str:
        return "; ".join(
            f"`make_pruning_permanent={value}`: {self.cut(is_permanent=value, goes_on=True)}" for value in (True, False)
        )

    def cut(self, *, is_permanent: bool, goes_on: bool) -> str:
        """Three epochs with a checkpoint at the start of the second, which a new trainer continues."""
        module = self.module(Plain())
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "cut.ckpt"
            self.fit(module, 2, is_permanent=is_permanent, save=saved)
            state = torch.load(saved, weights_only=True)["state_dict"]
            pruned = zeros(state["inner.first.weight"] if is_permanent else state["inner.first.weight_mask"])
            again = self.module(Plain())
            try:
                if goes_on:
                    self.fit(again, 3, is_permanent=is_permanent, resume=saved)
                else:
                    again.load_state_dict(state)
                    train(Run(again.inner, sgd(again.inner)), 2)
            except RuntimeError:
                return "refused"
        return kept(again.inner.first.weight, pruned)

    def fit(
        self, module: Any, epochs: int, *, is_permanent: bool, save: Path | None = None, resume: Path | None = None
    ) -> None:
        import lightning
        from lightning.pytorch.callbacks import LambdaCallback

        def write(trainer: Any, _module: Any) -> None:
            if save and trainer.current_epoch == 1:
                trainer.save_checkpoint(save)

        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        callbacks = [self.callback(is_permanent), LambdaCallback(on_train_epoch_start=write)]
        trainer = lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", enable_checkpointing=False, callbacks=callbacks, **quiet
        )
        trainer.fit(module, loader(), ckpt_path=resume, weights_only=True)

    def callback(self, is_permanent: bool) -> Any:
        from lightning.pytorch.callbacks import ModelPruning

        return ModelPruning(
            "l1_unstructured",
            amount=lambda epoch: SHARE if epoch == 0 else 0,
            use_lottery_ticket_hypothesis=False,
            use_global_unstructured=False,
            parameter_names=["weight"],
            make_pruning_permanent=is_permanent,
        )

    def module(self, inner: nn.Module) -> Any:
        import lightning

        class Module(lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.inner = inner

            def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
                return cross_entropy(self.inner(batch[0]), batch[1])

            def configure_optimizers(self) -> torch.optim.Optimizer:
                return sgd(self)

        return Module()

    def pruned(self, model: nn.Module) -> nn.Module:
        """Every weight that the callback finds by itself."""
        callback = self.callback(is_permanent=False)
        callback.setup(None, self.module(model), "fit")
        callback.apply_pruning(SHARE)
        return model

    def recurrent(self) -> str:
        model = self.pruned(Recurrent())
        weights = {"ih": model.lstm.weight_ih_l0, "hh": model.lstm.weight_hh_l0, "out": model.out.weight}
        return shares(weights)

    def redense(self) -> str:
        return "no way back"

    def tied(self) -> str:
        model = self.pruned(Tied())
        counted = sum(mask.numel() for name, mask in model.named_buffers() if name.endswith("_mask"))
        return f"{shares({'embed': model.embed.weight, 'out': model.out.weight})}; counts {counted}"


class Fasterai(Probes):
    """`SparsifyCallback` of fasterai, in fastai's `Learner`; layers are `nn.Linear`."""

    def learner(self, model: nn.Module) -> Any:
        from fastai.basics import DataLoaders, Learner
        from fastai.callback.progress import ProgressCallback
        from fastai.optimizer import OptimWrapper

        data = loader()
        optimizer = partial(OptimWrapper, opt=torch.optim.SGD, momentum=0.9)
        learner = Learner(DataLoaders(data, data, device="cpu"), model, loss_func=cross_entropy, opt_func=optimizer)
        return learner.remove_cb(ProgressCallback)

    def fit(self, learner: Any, epochs: int, schedule: str = "one_shot", start: int = 0, watch: Any = ()) -> None:
        from fasterai.core import schedule as schedules
        from fasterai.core.criteria import large_final
        from fasterai.sparse.sparsify_callback import SparsifyCallback

        curve = copy.deepcopy(getattr(schedules, schedule))
        callback = SparsifyCallback(SHARE, "weight", "local", large_final, curve, layer_type=nn.Linear)
        with learner.no_logging():
            learner.fit(epochs, 0.1, cbs=[callback, *watch], start_epoch=start)

    def plain(self) -> str:
        learner = self.learner(Plain())
        self.fit(learner, 2)
        pruned = zeros(learner.model.first.weight)
        plain = Plain()
        plain.load_state_dict(learner.model.state_dict())
        train(Run(plain, sgd(plain)), 2)
        return kept(plain.first.weight, pruned)

    def resume(self) -> str:
        """Cut after the third of four epochs, and continued with `start_epoch`."""
        from fastai.callback.core import Callback, CancelFitException

        class Cut(Callback):
            order = 100

            def before_epoch(self) -> None:
                if self.learn.epoch == 3:
                    saved.update(copy.deepcopy(self.learn.model.state_dict()))
                    raise CancelFitException

        saved: dict[str, Tensor] = {}
        self.fit(self.learner(Plain()), 4, watch=[Cut()])
        pruned = zeros(saved["first.weight"])
        again = self.learner(Plain())
        try:
            again.model.load_state_dict(saved)
            first = "loads"
        except RuntimeError:
            first = "refused"
        again.model.load_state_dict(saved, strict=False)
        self.fit(again, 4, start=3)
        return f"{first}; with `strict=False` {kept(again.model.first.weight, pruned)}, selected again"

    def recurrent(self) -> str:
        from fasterai.core.criteria import large_final
        from fasterai.sparse.sparsifier import Sparsifier

        model = Recurrent()
        Sparsifier(model, "weight", "local", large_final, layer_type=nn.Linear).sparsify_model(SHARE)
        try:
            Sparsifier(model, "weight", "local", large_final, layer_type=nn.LSTM).sparsify_model(SHARE)
            named = "pruned"
        except (AttributeError, ValueError) as error:
            named = f"{type(error).__name__}"
        weights = {"ih": model.lstm.weight_ih_l0, "hh": model.lstm.weight_hh_l0, "out": model.out.weight}
        return f"{shares(weights)}; `layer_type=nn.LSTM`: {named}"

    def redense(self) -> str:
        from fastai.callback.core import Callback

        class Watch(Callback):
            order = 100

            def after_batch(self) -> None:
                if self.learn.training:
                    alive.append(int((self.learn.model.first.weight != 0).sum()))

        alive: list[int] = []
        self.fit(self.learner(Plain()), 2, "dsd", watch=[Watch()])
        return f"`schedule=dsd`, weights alive in updates 11 to 20: {' '.join(map(str, alive[10:]))}"

    def tied(self) -> str:
        from fasterai.core.criteria import large_final
        from fasterai.sparse.sparsifier import Sparsifier

        model = Tied()
        model.embed = nn.Linear(8, 16, bias=False)
        model.embed.weight = model.out.weight
        sparsifier = Sparsifier(model, "weight", "local", large_final, layer_type=nn.Linear)
        sparsifier.sparsify_model(SHARE)
        counted = sum(layer.weight.numel() for layer in sparsifier._iter_layers())
        return f"{shares({'embed': model.embed.weight, 'out': model.out.weight})}; counts {counted}"
