"""Sets the learning rate of every update from its closed form, and detects anything else that sets it.

``rate(t) = start x shape(t) x warm-up(t)``: the shape runs over the phase (or the clock that the phase names), the
warm-up is linear over the phase's first updates. Exact rationals from the plan are rounded to a float at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact, format_exact
from dsd_lang.plan import Decay
from dsd_lang.plan.rates import RateShape, decay_shape, milestone_update, with_warmup
from dsd_runtime.engine.rate_groups import Factors, RateGroups


@dataclass(frozen=True, slots=True)
class ShapeClock:
    """The clock of a shape: its reading at the phase's first update, and its total number of updates."""

    offset: int
    total: int


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """The learning rate of one phase as a function of the update in it (from 0)."""

    start: Fraction
    decay: Decay
    clock: ShapeClock
    updates_per_epoch: int
    warmup_updates: int = 0
    _shape: RateShape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        total, epoch = self.clock.total, self.updates_per_epoch
        milestones = [milestone_update(point, total, epoch) for point in self.decay.milestones]
        shape = decay_shape(self.decay, self.start, total=total, milestones=milestones, epoch=epoch)
        object.__setattr__(self, "_shape", shape)

    def __call__(self, update: int) -> float:
        """The learning rate of that update of the phase."""
        return with_warmup(self._shape(update + self.clock.offset), update, self.warmup_updates)

    def times(self, factor: Fraction) -> RateSchedule:
        """The schedule of a group of `lr=[...]`: start and floor are multiplied, so the whole shape is."""
        floor = self.decay.floor
        decay = self.decay if floor is None else self.decay.model_copy(update={"floor": _times(floor, factor)})
        return replace(self, start=self.start * factor, decay=decay)


def _times(number: str, factor: Fraction) -> str:
    return format_exact(exact(number) * factor)


class GroupSchedules:
    """The learning rate of a phase, and of each of the optimizer's groups under its `lr=[...]`."""

    def __init__(self, schedule: RateSchedule, factors: Factors) -> None:
        """``factors`` is empty if all groups have the phase's rate."""
        self._schedule, self._factors = schedule, factors
        self._scaled = {factor: schedule.times(factor) for factor in factors if factor != 1}

    def __call__(self, update: int) -> float:
        """The phase's rate in that update of it."""
        return self._schedule(update)

    def of_groups(self, update: int) -> list[float]:
        """The rate of each group; empty if it is the phase's for all."""
        if not self._scaled:
            return []
        rates = {factor: schedule(update) for factor, schedule in self._scaled.items()}
        rates[Fraction(1)] = self._schedule(update)
        return [rates[factor] for factor in self._factors]


def own_rates(optimizer: Optimizer, count: int) -> list[float]:
    """The rate of each of the first ``count`` groups as the optimizer was built; the session keeps their ratios.

    If a scheduler warms up from 0, each group's own rate is in `initial_lr`. Raises :class:`DsdError` if something else
    has set the rates of several groups to 0, so that their ratios are unknown.
    """
    groups = optimizer.param_groups[:count]
    rates = [float(group["lr"]) for group in groups]
    if any(rate == 0 and float(group.get("initial_lr", 0.0)) for rate, group in zip(rates, groups, strict=True)):
        return [float(group.get("initial_lr", rate)) for rate, group in zip(rates, groups, strict=True)]
    if len(rates) > 1 and not any(rates) and float(optimizer.defaults.get("lr", 0.0)):
        raise DsdError(
            f"all {len(rates)} parameter groups have the learning rate 0 at `attach()`, so their ratios are lost",
            help="attach before anything sets the rates to 0, or give each group its rate beside the others",
        )
    return rates


class RateOwner:
    """Sets the learning rate of an optimizer's groups, keeping their ratios, and detects other changes to it."""

    def __init__(self, optimizer: Optimizer, groups: RateGroups) -> None:
        """``groups`` are the optimizer's as they are now; the ratios are of those that were given."""
        self._optimizer = optimizer
        self._groups = groups
        self._own_rates = own_rates(optimizer, len(groups.own))
        default = float(optimizer.defaults.get("lr", self._own_rates[0]))
        known = [rate for rate in self._own_rates if rate]
        self.own_rate = default if default in self._own_rates and (default or not known) else (known or [0.0])[0]
        self._ratios = self._ratios_now()
        self._marks: list[object] | None = None

    @property
    def rates(self) -> list[float]:
        """The learning rate of each group for the next update."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    def set(self, rate: float, of_groups: Sequence[float] = ()) -> None:
        """Sets the rate of every group; ``of_groups`` are those of `lr=[...]`. A tensor is changed in place."""
        self._require_same_groups()
        parents = self._groups.parents
        for index, group in enumerate(self._optimizer.param_groups):
            share = self._share(of_groups[index] if of_groups else rate, parents[index])
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(share)
            else:
                group["lr"] = share
        if self._groups.is_split:
            self._groups.rates = [self._share(rate, own) for own in range(len(self._own_rates))]
        self._marks = self._marks_now()

    def _share(self, rate: float, own: int) -> float:
        """The rate of an own group, where the first of them has ``rate``."""
        return self._own_rates[own] if rate == self.own_rate else rate * self._ratios[own]

    def check(self) -> None:
        """Raises :class:`DsdError` if something else has changed a learning rate since it was set here."""
        self._require_same_groups()
        now = self._marks_now()
        if self._marks is not None and self._marks != now:
            index = next(i for i, pair in enumerate(zip(self._marks, now, strict=True)) if pair[0] != pair[1])
            raise DsdError(
                f"the learning rate of parameter group {index} was changed from outside: it is {self.rates[index]:g}",
                help="the schedule sets the learning rate: remove any other scheduler",
            )

    def _require_same_groups(self) -> None:
        if len(self._optimizer.param_groups) != len(self._groups.parents):
            raise DsdError(
                "the optimizer got a parameter group after `attach()`",
                help="add every parameter group before `attach()`, those of weights that are unfrozen later too",
            )

    def follow(self, optimizer: Optimizer) -> None:
        """Switches to another optimizer with the same parameter groups."""
        if optimizer is not self._optimizer:
            self._optimizer = optimizer
            self._marks = None

    def state_dict(self) -> dict[str, Any]:
        return {"own_rate": self.own_rate, "own_rates": list(self._own_rates)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if len(state["own_rates"]) != len(self._own_rates):
            raise DsdError(
                f"the saved run had {len(state['own_rates'])} parameter groups, this optimizer has "
                f"{len(self._own_rates)}",
                help="resume with the same parameter groups",
            )
        self.own_rate = float(state["own_rate"])
        self._own_rates = [float(rate) for rate in state["own_rates"]]
        self._ratios = self._ratios_now()
        self._marks = None

    def _marks_now(self) -> list[object]:
        """Values that show whether a rate was changed: the number, or a tensor's version (no wait for a GPU)."""
        rates = [group["lr"] for group in self._optimizer.param_groups]
        return [(id(rate), rate._version) if isinstance(rate, Tensor) else rate for rate in rates]

    def _ratios_now(self) -> list[float]:
        if not self.own_rate:
            return [1.0] * len(self._own_rates)
        return [float(Fraction(str(rate)) / Fraction(str(self.own_rate))) for rate in self._own_rates]
