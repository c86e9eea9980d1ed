"""Enters phases at boundaries, and keeps a phase's masks applied.

The order of entering: score the current weights and choose the masks; load the weights that the phase starts `from`;
zero masked weights; for `dense`, drop the masks and `restore` the weights they covered; then the optimizer state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo, select
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.enforcing import Enforcing
from dsd_runtime.engine.acting_masks import ActingMasks
from dsd_runtime.engine.choosing import Occasion, adapt, choose_for
from dsd_runtime.engine.optimizer_state import forget_all_state, forget_state, largest_update_ratio, zero_state
from dsd_runtime.engine.origins import Origins, Weights, copy_into
from dsd_runtime.engine.references import ClockReading
from dsd_runtime.engine.revival import PrunedValues, restore, revived_by
from dsd_runtime.engine.scoring import Scoring
from dsd_runtime.engine.selection_plan import Selection, runtime_target, target_of
from dsd_runtime.engine.selections import selections_of
from dsd_runtime.engine.stages import Stage
from dsd_runtime.engine.wrappers import named_alike
from dsd_runtime.masks import Chosen, Held, MaskStore, Ramp, Target, input_axes, preserves_zero, resolve_ramps
from dsd_runtime.masks.targets import Current, least_pruned

_LARGE_FIRST_UPDATE = 1.5


@dataclass(frozen=True, slots=True)
class Entry:
    """What entering a phase will do: its new masks (None: the current ones, or none), and the weights to load.

    ``backward`` has the masks of the gradient, of a phase that trains more weights than its forward pass has.
    """

    chosen: Chosen | None
    backward: dict[str, Tensor]
    weights: Weights | None
    restored: Weights | None


class Boundary:
    """Masks, selections and saved values of one model over a linear plan."""

    def __init__(
        self,
        model: nn.Module,
        take_inventory: Callable[[], tuple[LayerInfo, ...]],
        plan: Plan,
        *,
        seed: int,
        origins: Origins,
        scoring: Scoring,
        keeps_saved: bool = False,
    ) -> None:
        """``keeps_saved``: values that are pruned are kept even if this plan never restores them."""
        self.model = model
        self.plan = plan
        self._take_inventory = take_inventory
        self.layers = take_inventory()
        self.store = MaskStore(model.named_parameters(remove_duplicate=False))
        self.acting = ActingMasks(self.store, MaskStore(model.named_parameters(remove_duplicate=False)))
        self.scoring = scoring
        self.clock_reading: ClockReading | None = None
        self._parameters = dict(model.named_parameters(remove_duplicate=False))
        self._views = _views_by_owner(self._parameters, self.store)
        self._seed = seed
        self._origins = origins
        is_wanted = any(phase.restore.kind == "saved" for phase in plan.phases)
        self.pruned_values = PrunedValues(is_kept=keeps_saved or is_wanted)
        self._selections = selections_of(plan, self.layers, self._parameters, scoring)
        self._target: Target | None = None
        self._ramps: tuple[Ramp, ...] = ()
        self._stage: Stage | None = None
        self._selected_at = -1
        self._masks_everything = False
        self._revived: tuple[str, ...] = ()

    def follow_model(self) -> None:
        """Looks at the model again, whose weights may have been frozen, unfrozen, added or replaced since.

        A phase selects the weights that are trainable when it is entered. Raises :class:`DsdError` if a selector of a
        phase then matches nothing, or a masked weight is gone.
        """
        layers, parameters = self._take_inventory(), dict(self.model.named_parameters(remove_duplicate=False))
        is_same = parameters.keys() == self._parameters.keys()
        is_same = is_same and all(parameters[name] is known for name, known in self._parameters.items())
        if is_same and layers == self.layers:
            return
        self.store.rebind(parameters.items())
        self.acting.rebind(parameters.items())
        self.layers, self._parameters = layers, parameters
        self._views = _views_by_owner(parameters, self.store)
        self._selections = selections_of(self.plan, layers, parameters, self.scoring)

    def selection_of(self, phase: Phase) -> Selection | None:
        """The weights that a phase prunes; None if it holds the masks that are there, or is dense."""
        return self._selections.get(phase.id)

    def selected_names(self) -> tuple[str, ...]:
        """The weights that some phase of the plan prunes, and those that are pruned now."""
        selected = (name for selection in self._selections.values() for name in selection.names)
        return tuple(dict.fromkeys((*selected, *self.store.masks)))

    # --- entry --------------------------------------------------------------------------------------------------------

    def prepare(self, stage: Stage, update: int) -> Entry:
        """Computes everything that entering a phase needs and that may fail, such as scores and checkpoints.

        Nothing is changed: if this raises, the previous phase is still active.
        """
        self.follow_model()
        phase = stage.phase
        chosen: Chosen | None = None
        backward: dict[str, Tensor] = {}
        weights = self._origins.starting(stage)
        if phase.mode == "sparse":
            assert phase.target is not None
            target = runtime_target(phase.target, stage.updates_per_epoch)
            if not isinstance(target, Held):
                chosen, backward = self._choose_at_entry(stage, target, update, weights)
            elif not len(self.store):
                message = f"phase `{phase.label or phase.id}` uses `held`, but no masks are active before it"
                raise DsdError(message, help="prune first")
        return Entry(chosen, backward, weights, self._restored(stage))

    def _choose_at_entry(
        self, stage: Stage, target: Target, update: int, weights: Weights | None
    ) -> tuple[Chosen, dict[str, Tensor]]:
        """Chooses from all values that the weights have, also those that an `enforce=` keeps beside the model."""
        is_soft = self.acting.rule.is_soft and not isinstance(target, Current)
        with self.acting.hidden.all_revealed() if is_soft else nullcontext():
            chosen = self._choose(stage, target, 0, update, starting=weights)
            return chosen, self._choose_backward(stage, target, 0, update)

    def enter(self, stage: Stage, entry: Entry, optimizer: Optimizer) -> dict[str, Any]:
        """Enters a prepared phase; returns what happened as plain data."""
        phase = stage.phase
        before = self.store.masks
        lives_on = self.acting.leave()
        self._stage, self._selected_at = stage, 0
        self._target, self._ramps = target_of(stage)
        chosen = entry.chosen
        if chosen is not None:
            self.pruned_values.keep({} if lives_on else before, chosen.masks, self._parameters)
            self._install(chosen.masks, others_hold=phase.others == "hold")
        elif phase.mode == "dense":
            self.store.clear()
        revived, num_revived = revived_by(before, self.store.masks, self._parameters)
        takes_values = lives_on and _keeps_values(phase)
        if takes_values:
            revived = {}
        if entry.weights is not None:
            copy_into(self.model, entry.weights)
        if entry.weights is None or entry.restored is not None:
            restore(revived, entry.restored, self._parameters)
        if phase.mode == "dense":
            self.pruned_values.forget()
        details = adapt(chosen, self._parameters, self.store)
        self.acting.enter(self._enforcing(stage), self._acting_names(phase), entry.backward)
        self._follow_state(phase, before, optimizer, is_pruned_zero=not takes_values)
        self._masks_everything = self._must_mask_everything(phase, optimizer)
        self._revived = tuple(revived)
        return {"revived": num_revived, **details, **self.counts()}

    def _enforcing(self, stage: Stage) -> Enforcing:
        return Enforcing.of(stage.phase, stage.updates_per_epoch)

    def _acting_names(self, phase: Phase) -> tuple[str, ...]:
        """The masks that act as the phase's `enforce=` says: those that it selects, or all that it holds."""
        selection = self._selections.get(phase.id)
        return tuple(self.store.masks) if selection is None else selection.names

    def _choose_backward(self, stage: Stage, target: Target, step: int, update: int) -> dict[str, Tensor]:
        """The masks of Top-KAST's gradient; none for other phases."""
        share = self._enforcing(stage).backward
        if share is None:
            return {}
        return self._choose(stage, least_pruned(resolve_ramps(target, step, stage.length), share), step, update).masks

    def _choose(
        self, stage: Stage, target: Target, step: int, update: int, *, starting: Weights | None = None
    ) -> Chosen:
        return choose_for(
            Occasion(stage, step, update, self._seed),
            target,
            self._selections[stage.phase.id],
            self._parameters,
            self.store,
            input_axes(self.layers),
            self.scoring,
            loaded=starting,
            collected=self.acting.scores.values if step else None,
        )

    def _install(self, masks: Mapping[str, Tensor], *, others_hold: bool) -> None:
        if not others_hold:
            self.store.clear()
        for name, mask in masks.items():
            self.store.set(name, mask)

    def _restored(self, stage: Stage) -> Mapping[str, Tensor] | None:
        """The values that `restore=` gives revived weights; None for zero."""
        if stage.phase.mode == "sparse" or not len(self.store):
            return None
        if self.acting.rule.is_soft and _keeps_values(stage.phase):
            return None
        if stage.phase.restore.kind != "saved":
            return self._origins.restoring(stage)
        return self.pruned_values.of(self.store.masks)

    def _follow_state(
        self, phase: Phase, before: Mapping[str, Tensor], optimizer: Optimizer, *, is_pruned_zero: bool
    ) -> None:
        """``is_pruned_zero``: what the masks before have pruned was not trained."""
        now = self.store.masks
        if phase.from_.kind != "last":
            forget_all_state(optimizer)
        elif phase.state == "keep" or not (before or now):
            return
        elif isinstance(optimizer, LBFGS):
            forget_all_state(optimizer)  # its flat history has no entries to zero
        else:
            for name in dict.fromkeys((*before, *now)):
                for parameter in self._views[name]:
                    if phase.state == "reset":
                        forget_state(optimizer, parameter)
                    elif name in before and is_pruned_zero:
                        zero_state(optimizer, parameter, ~before[name])
        self.acting.trained.apply_to_optimizer_state(optimizer)

    def _must_mask_everything(self, phase: Phase, optimizer: Optimizer) -> bool:
        """Whether weights and state must be masked after every update, and not only the gradients before it."""
        own = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        masked = [view for name in self.acting.trained.masks for view in self._views[name]]
        has_other_owner = any(id(view) not in own and view.requires_grad for view in masked)
        return phase.state == "keep" or has_other_owner or not preserves_zero(optimizer)

    # --- within a phase -----------------------------------------------------------------------------------------------

    def is_selection_due(self, step: int) -> bool:
        """Whether a ramp selects again before this update of the phase."""
        if not self._ramps or step == self._selected_at or self._stage is None or step >= self._stage.length:
            return False
        return any(step % ramp.every_updates == 0 for ramp in self._ramps)

    def select_again(self, step: int, update: int, optimizer: Optimizer) -> dict[str, Any]:
        """Selects again in a ramp, before update ``step`` of its phase."""
        assert self._stage is not None
        assert self._target is not None
        details = self._choose_again(step, update, optimizer)
        self._selected_at = step
        return {**self.counts(), **details}

    def change_masks(self, masks: Mapping[str, Tensor], optimizer: Optimizer) -> None:
        """Replaces some masks within a phase; weights and optimizer state outside of them become 0."""
        self.pruned_values.keep(self.store.masks, masks, self._parameters)
        self._install(masks, others_hold=True)
        self.store.apply_to_weights()
        self.store.apply_to_optimizer_state(optimizer)

    def _choose_again(self, step: int, update: int, optimizer: Optimizer) -> dict[str, Any]:
        """Sets new masks of the current phase, from all values that its weights have; after an error the old ones."""
        assert self._stage is not None
        assert self._target is not None
        before = self.store.masks
        with self.acting.hidden.all_revealed():
            chosen = self._choose(self._stage, self._target, step, update)
            backward = self._choose_backward(self._stage, self._target, step, update)
            if not self.acting.rule.is_soft:
                self.pruned_values.keep(before, chosen.masks, self._parameters)
            self._install(chosen.masks, others_hold=True)
            details = adapt(chosen, self._parameters, self.store)
            self.acting.set_trained(backward)
        if not self.acting.rule.is_soft:
            self.store.apply_to_weights()
        self.acting.trained.apply_to_optimizer_state(optimizer)
        return details

    def after_update(self, optimizer: Optimizer, step: int, update: int) -> None:
        """Masks weights and state after an applied update, the ``step``-th of its phase, and follows `enforce=`.

        Gradients were masked before the update, and weights and state when the masks were set, so with an optimizer
        that maps zeros to zeros (:func:`dsd_runtime.masks.preserves_zero`) there is nothing to do where pruned weights
        are just zero.
        """
        trained = self.acting.trained
        if self._masks_everything and len(trained):
            trained.apply_to_weights()
            trained.apply_to_optimizer_state(optimizer)
        self.acting.scores.commit()
        if self.acting.is_refresh_due(step):
            self._choose_again(step, update, optimizer)

    def mask_copy(self, model: nn.Module) -> None:
        """Masks a copy of the model; raises ``ValueError`` if it lacks a masked weight."""
        named = list(named_alike(model, self._parameters))
        missing = sorted(set(self.store.masks) - {self.store.owner(name) for name, _ in named})
        if missing:
            raise ValueError(f"the copy has no weight `{missing[0]}`, which is masked in the model")
        self.store.apply_to_copy(named)

    # --- what is so ---------------------------------------------------------------------------------------------------

    def sparsity(self) -> dict[str, float]:
        """The pruned fraction of each masked weight and of all (`total`); when dense, of the prunable weights."""
        sizes = self._sizes()
        if not sizes:
            weights, _ = select((), (), self.layers)
            return {**{weight.name: 0.0 for weight in weights if weight.made_by is None}, "total": 0.0}
        pruned = {name: sizes[name] - alive for name, alive in self.store.alive_counts().items()}
        result = {name: pruned[name] / max(1, size) for name, size in sizes.items()}
        return {**result, "total": sum(pruned.values()) / max(1, sum(sizes.values()))}

    def counts(self) -> dict[str, Any]:
        """Exact sizes and unmasked counts of the masked weights."""
        return {"sizes": self._sizes(), "alive": self.store.alive_counts()}

    def _sizes(self) -> dict[str, int]:
        """The whole number of each masked parameter's weights."""
        return {name: self._parameters[name].numel() for name in self.store.masks}

    def check_invariants(self, update: int) -> None:
        """Raises :class:`DsdError` if a masked weight is not zero, because something else has written to the model."""
        wrong = self.store.off_mask_counts()
        if wrong:
            name, count = next(iter(wrong.items()))
            raise DsdError(
                f"{count} masked weights of `{name}` are not zero at update {update}",
                help="something other than the session's optimizer wrote to the model (an EMA copied back, a loaded "
                "checkpoint, a second optimizer?)",
            )

    def advice(self, optimizer: Optimizer) -> list[str]:
        """Advice for the user about the phase just entered."""
        if self._stage is None or not self._revived:
            return []
        phase = self._stage.phase
        if phase.state != "zero" or phase.lr.warmup is not None or phase.from_.kind != "last":
            return []
        ratio = max(largest_update_ratio(optimizer, self._parameters[name]) for name in self._revived)
        if ratio < _LARGE_FIRST_UPDATE:
            return []
        return [
            f"phase `{phase.label or phase.id}`: the first updates of revived weights are up to {ratio:.1f} x the "
            f"learning rate, because `state=zero` leaves {type(optimizer).__name__}'s large step count; "
            "write `state=reset` or a `warmup=`"
        ]

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self, *, is_sharded: bool = False) -> dict[str, Any]:
        kept = self.acting.state_dict(is_sharded=is_sharded)
        return {
            "masks": self.store.pack(is_sharded=is_sharded),
            "hash": self.store.hash(),
            "saved": self.pruned_values.state_dict(),
            "selected_at": self._selected_at,
            **({"acting": kept} if kept else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any], stage: Stage, optimizer: Optimizer) -> None:
        self.follow_model()
        self.store.unpack(state["masks"])
        if self.store.hash() != state["hash"]:
            raise DsdError("the stored masks do not match their hash", help="the checkpoint is damaged: start again")
        self.pruned_values.load_state_dict(state["saved"], self._parameters)
        self._selected_at = int(state["selected_at"])
        self._stage, self._revived = stage, ()
        self.acting.load_state_dict(state.get("acting", {}), self._enforcing(stage), self._acting_names(stage.phase))
        self._target, self._ramps = target_of(stage)
        self._masks_everything = self._must_mask_everything(stage.phase, optimizer)
        self.store.apply_to_weights()


def _keeps_values(phase: Phase) -> bool:
    """Whether a phase after one that trains pruned weights takes their values; else it restores them as it says."""
    return phase.mode == "sparse" or phase.restore.kind in ("zero", "saved")


def _views_by_owner(parameters: Mapping[str, nn.Parameter], store: MaskStore) -> dict[str, list[nn.Parameter]]:
    """The parameters of each mask: one, unless separate parameters share memory."""
    views: dict[str, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        known = views.setdefault(store.owner(name), [])
        if not any(parameter is other for other in known):
            known.append(parameter)
    return views
