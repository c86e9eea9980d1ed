"""The tools of `peer_methods.py` that are used in a training loop of one's own."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from typing import Any

import torch
from peer_probes import SHARE, UPDATES, LoopTool, Plain, Run, Tied, TrainedThenPruned, example, sgd, train
from torch import Tensor, nn
from torch.nn.utils import prune


class Dsd(LoopTool):
    """A session in the loop."""

    def start(self, model: nn.Module) -> Run:
        import dsd_lang
        import dsd_runtime

        layers = " layers=embed,fc" if isinstance(model, Tied) else ""
        before = f"dense {UPDATES}it lr=0.1; " if isinstance(model, Plain) else ""
        program = f"{before}sparse 50% {3 * UPDATES}it lr=0.1{layers}; dense {UPDATES}it lr=0.1"
        run = Run(model, sgd(model))
        session = dsd_runtime.attach(dsd_lang.compile(program), model, run.optimizer, steps_per_epoch=UPDATES)
        if before:
            train(run._replace(tool=session), 0)
        session.begin_step()
        return run._replace(tool=session)

    def save(self, run: Run) -> Any:
        return copy.deepcopy((*super().save(run), run.tool.state_dict()))

    def load(self, run: Run, saved: Any) -> None:
        super().load(run, saved)
        run.tool.load_state_dict(saved[2])

    def lifted(self, run: Run) -> Tensor:
        run.tool.begin_step()
        return run.model.first.weight

    def count(self, run: Run) -> int:
        return sum(mask.numel() for mask in run.tool.masks.values())


class TorchPrune(TrainedThenPruned):
    """`torch.nn.utils.prune`: a hook for each tensor that is named."""

    def prune(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Run:
        for module, name in self.named(model):
            prune.l1_unstructured(module, name, amount=SHARE)
        return Run(model, optimizer)

    def named(self, model: nn.Module) -> list[tuple[nn.Module, str]]:
        """Every matrix by its name: the tool has no default."""
        modules = {name: module for name, module in model.named_modules() if name}
        wanted = [(name, part) for name in modules for part in ("weight", "weight_ih_l0", "weight_hh_l0")]
        return [(modules[name], part) for name, part in wanted if hasattr(modules[name], part)]

    def lifted(self, run: Run) -> Tensor:
        parameter = run.model.first.weight_orig
        prune.remove(run.model.first, "weight")
        return parameter

    def count(self, run: Run) -> int:
        return sum(mask.numel() for name, mask in run.model.named_buffers() if name.endswith("_mask"))


class TorchAo(TrainedThenPruned):
    """`WeightNormSparsifier` of `torch.ao.pruning`: a parametrization."""

    config: list[dict[str, str]] | None = None

    def prune(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Run:
        from torch.ao.pruning import WeightNormSparsifier

        sparsifier = WeightNormSparsifier(sparsity_level=SHARE, sparse_block_shape=(1, 1), zeros_per_block=1)
        sparsifier.prepare(model, self.config)
        sparsifier.step()
        return Run(model, optimizer, sparsifier)

    def recurrent(self) -> str:
        by_default = super().recurrent()
        self.config = [{"tensor_fqn": "lstm.weight_hh_l0"}]
        return f"{by_default}; named: {super().recurrent()}"

    def save(self, run: Run) -> Any:
        return copy.deepcopy((*super().save(run), run.tool.state_dict()))

    def load(self, run: Run, saved: Any) -> None:
        run.model.load_state_dict(saved[0], strict=False)  # the parametrization saves no mask, and asks for one
        run.optimizer.load_state_dict(saved[1])
        run.tool.load_state_dict(saved[2])

    def lifted(self, run: Run) -> Tensor:
        for group in run.tool.groups:
            group["sparsity_level"] = 0.0
        run.tool.step()
        return run.model.first.parametrizations.weight.original

    def count(self, run: Run) -> int:
        return sum(state["mask"].numel() for state in run.tool.state.values())


class TorchaoPat(LoopTool):
    """`PruneOptimizer` of torchao: one step prunes, the steps after it hold the zeros; a dense copy stays."""

    def start(self, model: nn.Module) -> Run:
        from torchao.prototype.pat.optim import PruneOptimizer
        from torchao.prototype.pat.utils import get_param_groups

        rule = {
            "prox_type": "MinSparsityConstraint",
            "group_type": "KElementGrouper",
            "k": 1,
            "min_sparsity": SHARE,
        }
        named = [(nn.Linear, "weight"), (nn.Embedding, "weight"), (nn.LSTM, "weight_ih_l0"), (nn.LSTM, "weight_hh_l0")]
        config = {name: dict(rule) for name in named}
        dense = UPDATES - 1 if isinstance(model, Plain) else 0
        groups = torch.optim.SGD(get_param_groups(model, config), lr=0.1, momentum=0.9)
        run = Run(model, PruneOptimizer(groups, warmup_steps=dense, healing_start_step=dense + 1))
        if dense:
            train(run, 0)
        else:
            model(example(model)).sum().backward()
            run.optimizer.step()
        return run

    def lifted(self, run: Run) -> Tensor:
        with torch.no_grad():
            run.optimizer.restore_latent_params()
        return run.model.first.weight

    def count(self, run: Run) -> int:
        return sum(one.numel() for group in run.optimizer.regularized_param_groups() for one in group["params"])


class Nncf(TrainedThenPruned):
    """`nncf.prune`: a hook on the parameter in the traced graph."""

    def prune(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Run:
        import nncf

        mode = nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL
        pruned = nncf.prune(model, mode, ratio=SHARE, examples_inputs=example(model))
        return Run(pruned, optimizer, mode)

    def weight(self, model: nn.Module, name: str) -> Tensor:
        from nncf.torch.function_hook.pruning.magnitude.algo import get_pruned_modules

        tied_to = "embed.weight" if isinstance(model, Tied) and name == "out.weight" else name
        raw, masks = super().weight(model, name), get_pruned_modules(model)
        return masks[tied_to](raw) if tied_to in masks else raw

    def lifted(self, run: Run) -> Tensor:
        from nncf.torch.function_hook.pruning.magnitude.algo import update_pruning_ratio

        update_pruning_ratio(run.model, run.tool, 0.0)
        return run.model.first.weight

    def count(self, run: Run) -> int:
        from nncf.torch.function_hook.pruning.magnitude.algo import get_pruned_modules

        return sum(hook.binary_mask.numel() for hook in get_pruned_modules(run.model).values())


class CoreAi(TrainedThenPruned):
    """`MagnitudePruner` of coreai-opt: a parametrization, found by tracing the forward pass."""

    def prune(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Run:
        from coreai_opt.pruning import MagnitudePruner, MagnitudePrunerConfig, ModuleMagnitudePrunerConfig
        from coreai_opt.pruning.config import SparsityScheduleBase

        class UntilAStep(SparsityScheduleBase):
            def compute_sparsity(
                self, step_count: int, target_sparsity: float, prev_sparsity: float | None = None
            ) -> float:
                return 0.0 if step_count else target_sparsity

        settings = ModuleMagnitudePrunerConfig(sparsity_schedule=UntilAStep())
        pruner = MagnitudePruner(model, MagnitudePrunerConfig(global_config=settings))
        return Run(pruner.prepare((example(model),)), optimizer, pruner)

    def lifted(self, run: Run) -> Tensor:
        run.tool.step()
        return run.model.first.parametrizations.weight.original

    def count(self, run: Run) -> int:
        return sum(mask.numel() for name, mask in run.model.named_buffers() if name.endswith(".mask"))


class SparseMl(TrainedThenPruned):
    """A recipe of SparseML with `MagnitudePruningModifier`, which prunes at the first step."""

    recipe = """
modifiers:
  - !EpochRangeModifier
    start_epoch: 0.0
    end_epoch: 99.0
  - !MagnitudePruningModifier
    init_sparsity: 0.5
    final_sparsity: 0.5
    start_epoch: 0.0
    end_epoch: 99.0
    update_frequency: 99.0
    params: PARAMS
"""
    parameters = "__ALL_PRUNABLE__"

    def prune(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Run:
        from sparseml.pytorch.optim import ScheduledModifierManager

        chosen = "['re:.*weight']" if isinstance(model, Tied) else self.parameters
        manager = ScheduledModifierManager.from_yaml(self.recipe.replace("PARAMS", chosen))
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # it writes a log where it runs
            run = Run(model, manager.modify(model, optimizer, steps_per_epoch=UPDATES), manager)
        run.optimizer.zero_grad()
        model(example(model)).sum().backward()
        run.optimizer.step()
        return run

    def save(self, run: Run) -> Any:
        return copy.deepcopy((*super().save(run), run.tool.state_dict()))

    def load(self, run: Run, saved: Any) -> None:
        super().load(run, saved)
        run.tool.load_state_dict(saved[2])

    def recurrent(self) -> str:
        by_default = super().recurrent()
        self.parameters = "['re:.*weight.*']"
        return f"{by_default}; named: {super().recurrent()}"

    def lifted(self, run: Run) -> Tensor:
        run.tool.finalize(run.model)
        return run.model.first.weight

    def count(self, run: Run) -> int:
        return sum(mask.numel() for masks in run.tool.state_dict().values() for mask in masks.values())
