"""What happens at a phase boundary and what keeps a phase's masks in force.

Entry, in this order: score the current weights and choose the masks; put in place what the phase starts `from`; zero
what is masked; on `dense`, drop the masks and `restore` what they covered; then the optimizer's state.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.errors import DsdError
from dsd_lang.layers import LayerInfo, select
from dsd_lang.plan import Phase, Plan
from dsd_runtime.masks import Held, MaskStore, Ramp, Target, choose_masks, preserves_zero, resolve_ramps
from dsd_runtime.masks.targets import PerSelector
from dsd_runtime.optimizer_state import first_update_ratio, forget_state, zero_state
from dsd_runtime.randomness import stream_key
from dsd_runtime.references import ClockReading, ReferenceStore, Snapshot, fresh_weights, reference_key
from dsd_runtime.selection_plan import Selection, runtime_target, select_weights
from dsd_runtime.timeline import Stage

_LARGE_FIRST_UPDATE = 1.5


class Boundary:
    """Masks, selections and saved values of one model over a line of phases."""

    def __init__(
        self,
        model: nn.Module,
        layers: tuple[LayerInfo, ...],
        plan: Plan,
        *,
        seed: int,
        factory: Callable[[], nn.Module] | None,
        references: ReferenceStore,
    ) -> None:
        self.model = model
        self.layers = layers
        self.store = MaskStore(model.named_parameters(remove_duplicate=False))
        self.clock_reading: ClockReading | None = None
        self._parameters = dict(model.named_parameters(remove_duplicate=False))
        self._seed = seed
        self._factory = factory
        self._references = references
        self._keeps_saved = any(phase.restore.kind == "saved" for phase in plan.phases)
        self._saved: dict[str, Tensor] = {}
        self._selections = self._resolve_all(plan)
        self._selection = Selection((), {})
        self._target: Target | None = None
        self._stage: Stage | None = None
        self._selected_at = -1
        self._masks_everything = False
        self._revived: tuple[str, ...] = ()
        self._zero_preserving: weakref.WeakKeyDictionary[Optimizer, bool] = weakref.WeakKeyDictionary()
        self.needs_init = any(phase.restore.kind == "init" for phase in plan.phases)

    def _resolve_all(self, plan: Plan) -> dict[str, Selection]:
        """Every sparse phase's selection, at once, so that a wrong selector is found before the first update."""
        found: dict[str, Selection] = {}
        for phase in plan.phases:
            if phase.mode == "sparse" and not (phase.target and phase.target.kind == "held"):
                chosen = select_weights(phase, self.layers)
                names = tuple(dict.fromkeys(self.store.owner(name) for name in chosen.names))
                places = {self.store.owner(name): place for name, place in reversed(chosen.assignment.items())}
                found[phase.id] = Selection(names, places)
        return found

    # --- entry --------------------------------------------------------------------------------------------------------

    def enter(self, stage: Stage, optimizer: Optimizer, update: int) -> dict[str, Any]:
        """Enters a phase; returns what happened, as plain data. No mask is changed when a score is NaN or infinite."""
        phase = stage.phase
        before = self.store.masks
        self._stage, self._selected_at, self._revived = stage, 0, ()
        if phase.mode == "sparse":
            details = self._enter_sparse(stage, before, update)
        else:
            self._target = None
            self._selection = Selection((), {})
            details = {"revived": self._enter_dense(phase, before)}
        self._follow_state(phase, before, optimizer)
        self._masks_everything = phase.state == "keep"
        return {**details, **self.counts()}

    def _enter_sparse(self, stage: Stage, before: Mapping[str, Tensor], update: int) -> dict[str, Any]:
        phase = stage.phase
        assert phase.target is not None
        self._target = runtime_target(phase.target, stage.updates_per_epoch)
        if isinstance(self._target, Held):
            if not before:
                raise DsdError(f"phase `{phase.label or phase.id}` holds masks, but none are in force", help="prune first")
            self._start_from(phase)
            self.store.apply_to_weights()
            return {}
        self._selection = self._selections[phase.id]
        masks, forced = self._choose(0, update)
        self._keep_saved(before, masks)
        self._install(masks, others_hold=phase.others == "hold")
        self._start_from(phase)
        self.store.apply_to_weights()
        return {"kept_by_minimum": list(forced)} if forced else {}

    def _choose(self, step: int, update: int) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        assert self._stage is not None
        assert self._target is not None
        phase = self._stage.phase
        place = f"{phase.path if phase.rng == 'distinct' else ''}:{update}"
        chosen = choose_masks(
            weights={name: self._parameters[name].detach() for name in self._selection.names},
            target=resolve_ramps(self._target, step, self._stage.length),
            scope=cast(Literal["layer", "global"], phase.scope),
            by=cast(Literal["magnitude", "random"], phase.by.name),
            order=cast(Literal["smallest", "largest"], phase.by.arguments.get("order", "smallest")),
            key=stream_key(self._seed, phase.seed_index, "mask", place),
            alive=self.store.masks,
            selectors=self._selection.assignment or None,
            minimum=phase.minimum,
            update=update,
        )
        return chosen.masks, chosen.kept_by_minimum

    def _install(self, masks: Mapping[str, Tensor], *, others_hold: bool) -> None:
        if not others_hold:
            self.store.clear()
        for name, mask in masks.items():
            self.store.set(name, mask)

    def _enter_dense(self, phase: Phase, before: Mapping[str, Tensor]) -> int:
        """Drops the masks and restores what they covered; returns how many weights are revived."""
        covered = {name: ~mask for name, mask in before.items()}
        self.store.clear()
        self._start_from(phase)
        values = self._restored_values(phase, covered)
        with torch.no_grad():
            for name, where in covered.items():
                parameter = self._parameters[name]
                if values is not None:
                    source = values[name].to(parameter.device, parameter.dtype)
                    parameter.copy_(torch.where(where, source, parameter))
                elif phase.from_.kind == "last":
                    parameter.masked_fill_(where, 0)
        self._saved = {}
        self._revived = tuple(covered)
        return int(sum(int(where.sum()) for where in covered.values()))

    def _restored_values(self, phase: Phase, covered: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        kind = phase.restore.kind
        if kind == "zero" or not covered:
            return None
        if kind == "saved":
            return self._saved
        if kind == "random":
            return self._fresh(phase)
        reference = phase.restore.reference
        return self._references.load("init" if kind == "init" or reference is None else reference_key(reference)).weights

    def _fresh(self, phase: Phase) -> dict[str, Tensor]:
        assert self._stage is not None
        key = stream_key(self._seed, phase.seed_index, "init", f"{phase.path}:{self._stage.index}")
        if self._factory is None:
            return fresh_weights(self.model, key)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key)
            return {name: value.detach() for name, value in self._factory().state_dict().items()}

    def _start_from(self, phase: Phase) -> None:
        """`from=`: puts other weights and buffers in place of the last ones."""
        if phase.from_.kind == "last":
            return
        if phase.from_.kind == "random":
            weights: Mapping[str, Tensor] = self._fresh(phase)
        else:
            weights = self._referenced(phase).weights
        with torch.no_grad():
            for name, value in self.model.state_dict(keep_vars=True).items():
                if name not in weights or weights[name].shape != value.shape:
                    raise DsdError(f"what phase `{phase.label or phase.id}` starts from has no `{name}` of this shape")
                value.detach().copy_(weights[name])

    def _referenced(self, phase: Phase) -> Snapshot:
        reference = phase.from_.reference
        assert reference is not None
        if reference.moment == "file":
            from safetensors.torch import load_file

            try:
                return Snapshot(load_file(reference.file or ""), ClockReading())
            except (OSError, ValueError) as error:
                raise DsdError(f"`{reference.file}` cannot be read as safetensors: {error}") from error
        return self._references.load(reference_key(reference))

    def _keep_saved(self, before: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
        """Remembers the values about to be pruned; those pruned before keep what was remembered then."""
        if not self._keeps_saved:
            return
        for name in masks:
            weights = self._parameters[name].detach()
            if name in self._saved and name in before:
                self._saved[name] = torch.where(before[name].cpu(), weights.cpu(), self._saved[name])
            else:
                self._saved[name] = weights.to("cpu", copy=True)

    def _follow_state(self, phase: Phase, before: Mapping[str, Tensor], optimizer: Optimizer) -> None:
        if phase.from_.kind != "last":
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    forget_state(optimizer, parameter)
            return
        if phase.state == "keep":
            return
        now = self.store.masks
        for name in dict.fromkeys((*before, *now)):
            parameter = self._parameters[name]
            if phase.state == "reset":
                forget_state(optimizer, parameter)
                continue
            for mask in (before.get(name), now.get(name)):
                if mask is not None:
                    zero_state(optimizer, parameter, ~mask)

    # --- within a phase -----------------------------------------------------------------------------------------------

    def _has_ramp(self) -> bool:
        parts = self._target.targets if isinstance(self._target, PerSelector) else (self._target,)
        return any(isinstance(part, Ramp) for part in parts)

    def is_selection_due(self, step: int) -> bool:
        """Whether a ramp selects anew before this update of the phase."""
        if self._stage is None or step == self._selected_at or step >= self._stage.length or not self._has_ramp():
            return False
        parts = self._target.targets if isinstance(self._target, PerSelector) else (self._target,)
        return any(isinstance(part, Ramp) and step % part.every_updates == 0 for part in parts)

    def select_again(self, step: int, update: int) -> dict[str, Any]:
        """A ramp's re-selection before update ``step`` of its phase."""
        before = self.store.masks
        masks, forced = self._choose(step, update)
        self._keep_saved(before, masks)
        self._install(masks, others_hold=True)
        self._selected_at = step
        self.store.apply_to_weights()
        return {**self.counts(), **({"kept_by_minimum": list(forced)} if forced else {})}

    def settle(self, optimizer: Optimizer) -> None:
        """Clears the optimizer's state under new masks."""
        self.store.apply_to_optimizer_state(optimizer)

    def mask_gradients(self) -> None:
        if len(self.store):
            self.store.apply_to_gradients()

    def after_update(self, optimizer: Optimizer) -> None:
        """Masks weights and state after an applied update, where the optimizer does not keep zeros by itself.

        Gradients were masked before the update, and weights and state when the masks were set; an optimizer that maps
        zeros to zeros (:func:`dsd_runtime.masks.preserves_zero`) then leaves nothing to do.
        """
        if not len(self.store):
            return
        if optimizer not in self._zero_preserving:
            self._zero_preserving[optimizer] = preserves_zero(optimizer)
        if self._masks_everything or not self._zero_preserving[optimizer]:
            self.store.apply_to_weights()
            self.store.apply_to_optimizer_state(optimizer)

    # --- what is so ---------------------------------------------------------------------------------------------------

    def sparsity(self) -> dict[str, float]:
        """The pruned fraction of each selected weight and of all together (`total`); in a dense phase of the prunable."""
        masks = self.store.masks
        sizes = {name: mask.numel() for name, mask in masks.items()}
        alive = self.store.alive_counts()
        if not masks:
            weights, _ = select((), (), self.layers)
            names = dict.fromkeys(self.store.owner(weight.name) for weight in weights)
            return {**dict.fromkeys(names, 0.0), "total": 0.0}
        result = {name: 1.0 - alive[name] / size if size else 0.0 for name, size in sizes.items()}
        return {**result, "total": 1.0 - sum(alive.values()) / max(1, sum(sizes.values()))}

    def counts(self) -> dict[str, Any]:
        """Exact sizes and non-masked counts of what is masked now."""
        masks = self.store.masks
        return {"sizes": {name: mask.numel() for name, mask in masks.items()}, "alive": self.store.alive_counts()}

    def check_invariants(self, update: int) -> None:
        """Raises :class:`DsdError` when a masked weight is not zero: something else wrote to the model."""
        wrong = self.store.off_mask_counts()
        if wrong:
            name, count = next(iter(wrong.items()))
            raise DsdError(
                f"{count} masked weights of `{name}` are not zero at update {update}",
                help="something other than the session's optimizer wrote to the model (an EMA copied back, a loaded "
                "checkpoint, a second optimizer?)",
            )

    def advice(self, optimizer: Optimizer) -> list[str]:
        """What the user should know about the phase just entered."""
        if self._stage is None or not self._revived:
            return []
        phase = self._stage.phase
        if phase.state != "zero" or phase.lr.warmup is not None or phase.from_.kind != "last":
            return []
        ratio = max(first_update_ratio(optimizer, self._parameters[name]) for name in self._revived)
        if ratio < _LARGE_FIRST_UPDATE:
            return []
        return [
            f"phase `{phase.label or phase.id}`: the first updates of revived weights are up to {ratio:.1f} x the "
            f"learning rate, because `state=zero` leaves {type(optimizer).__name__}'s large step count; "
            "write `state=reset` or a `warmup=`"
        ]

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "masks": self.store.pack(),
            "hash": self.store.hash(),
            "saved": dict(self._saved),
            "selected_at": self._selected_at,
            "masks_everything": self._masks_everything,
        }

    def load_state_dict(self, state: Mapping[str, Any], stage: Stage) -> None:
        self.store.unpack(state["masks"])
        if self.store.hash() != state["hash"]:
            raise DsdError("the stored masks do not match their hash", help="the checkpoint is damaged: start afresh")
        self._saved = dict(state["saved"])
        self._selected_at = int(state["selected_at"])
        self._masks_everything = bool(state["masks_everything"])
        self._stage = stage
        phase = stage.phase
        is_sparse = phase.mode == "sparse" and phase.target is not None
        self._target = runtime_target(phase.target, stage.updates_per_epoch) if is_sparse and phase.target else None
        self._selection = self._selections.get(phase.id, Selection((), {}))
        self.store.apply_to_weights()
