"""Applies a phase's `opt=`, `wd=` and `dropout=`, and undoes them after the phase.

`l1=` and `clip=` are part of each update (`update.py`). `batch=` is left to the data loader: `dsd-run` follows it, and
a user's loop can read it from `session.phase.batch`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.units import exact
from dsd_lang.plan import Function, Phase, Plan
from dsd_runtime.engine.optimizer_state import forget_all_state
from dsd_runtime.engine.rate_groups import RateGroups
from dsd_runtime.engine.update import UpdateRule
from dsd_runtime.engine.without_compiler import construct, method
from dsd_runtime.masks.shards import is_sharded, sharded_as

_OPTIMIZERS: dict[str, type[Optimizer]] = {
    name.lower(): value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
}


def optimizer_class(name: str) -> type[Optimizer]:
    """The class in `torch.optim` with that name, ignoring case; raises :class:`DsdError` with the nearest name."""
    if name.lower() in _OPTIMIZERS:
        return _OPTIMIZERS[name.lower()]
    guess = nearest(name.lower(), list(_OPTIMIZERS))
    raise DsdError(
        f"unknown optimizer `{name}`; expected one of {', '.join(sorted(_OPTIMIZERS))}",
        help=f"did you mean `{guess}`?" if guess else None,
    )


def plain_value(value: str | bool) -> str | bool | float:
    """An argument of the plan as Python data: numbers as floats, anything else unchanged."""
    if isinstance(value, bool):
        return value
    try:
        return float(exact(value))
    except (ValueError, ZeroDivisionError):
        return value


@cache
def _parameters_of(name: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of an optimizer's constructor, by name."""
    return inspect.signature(optimizer_class(name)).parameters


def optimizer_options(choice: Function) -> dict[str, Any]:
    """The keyword arguments of the class for a choice such as `sgd(momentum=0.9, nesterov=on)`.

    `beta1=` and `beta2=` become `betas`; an option that the class does not have is an error.
    """
    options: dict[str, Any] = {name: plain_value(value) for name, value in choice.arguments.items()}
    known = _parameters_of(choice.name)
    if "beta1" in options or "beta2" in options:
        default = known["betas"].default if "betas" in known else (0.9, 0.999)
        options["betas"] = (options.pop("beta1", default[0]), options.pop("beta2", default[1]))
    for name in options:
        if name not in known or name in ("params", "lr"):
            guess = nearest(name, list(known))
            raise DsdError(
                f"`{choice.name}` has no option `{name}`",
                help=f"did you mean `{guess}`?" if guess else f"its options: {', '.join(list(known)[1:])}",
            )
    return options


def build_optimizer(
    parameters: Iterable[nn.Parameter] | list[dict[str, Any]],
    choice: Function,
    *,
    rate: float,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Builds an optimizer of `torch.optim` from a function of the plan."""
    chosen = optimizer_class(choice.name)
    options = optimizer_options(choice)
    if "weight_decay" in _parameters_of(choice.name):
        options.setdefault("weight_decay", weight_decay)
    try:
        return construct(chosen, parameters, lr=rate, **options)
    except (TypeError, ValueError) as error:
        raise DsdError(f"`{choice.name}` cannot be built: {str(error).lower()}") from error


@dataclass(slots=True)
class WeightDecay:
    """The original weight decay of each group as given, and the current override; ``parents`` is that of `groups`."""

    own: list[float]
    parents: tuple[int, ...]
    applied_to: Optimizer
    is_overridden: bool = False

    @classmethod
    def of(cls, optimizer: Optimizer, groups: RateGroups) -> WeightDecay:
        given = optimizer.param_groups[: len(groups.own)]
        return cls([float(group.get("weight_decay", 0.0)) for group in given], groups.parents, optimizer)

    def apply(self, optimizer: Optimizer, override: str | None) -> None:
        """Sets the override on every group that has weight decay (on all, if none has); None undoes it."""
        if override is None and not self.is_overridden and optimizer is self.applied_to:
            return
        self.is_overridden, self.applied_to = override is not None, optimizer
        decays = any(self.own)
        value = float(exact(override)) if override is not None else None
        for group, parent in zip(optimizer.param_groups, self.parents, strict=True):
            own = self.own[parent]
            if "weight_decay" in group:
                group["weight_decay"] = value if value is not None and (own or not decays) else own


_BUFFER_OPTIONS = ("momentum", "amsgrad", "centered")


class OptimizerChoice:
    """The optimizer that a session was attached to, and the one that a phase's `opt=` replaces it with."""

    def __init__(self, own: Optimizer) -> None:
        self.own = own
        self.current = own
        self._own_options = [
            {name: value for name, value in group.items() if name not in ("params", "lr", "initial_lr", "weight_decay")}
            for group in own.param_groups
        ]
        self._choice: Function | None = None

    def check(self, choice: Function | None, weight_decay: str | None) -> None:
        """Raises :class:`DsdError` for a name or option that does not exist, or an unsupported weight decay."""
        if choice is not None and "weight_decay" in optimizer_options(choice):
            raise DsdError(f"`{choice.name}` takes no `weight_decay` here", help="write `wd=` on the phase")
        chosen = type(self.own) if choice is None else optimizer_class(choice.name)
        own_decays = chosen is type(self.own) and all("weight_decay" in group for group in self.own.param_groups)
        if weight_decay is not None and not own_decays and "weight_decay" not in inspect.signature(chosen).parameters:
            raise DsdError(f"`{chosen.__name__}` has no weight decay to set with `wd=`", help="remove `wd=`")

    def apply(self, choice: Function | None) -> Optimizer:
        """Returns the optimizer of a phase.

        For the same class with other options, the options of the own optimizer are changed. For another class, a new
        optimizer is built for the phase. If it keeps other buffers than that of the previous phase, it starts without
        state.
        """
        if choice == self._choice:
            return self.current
        before, self._choice = self.current, choice
        if choice is not None and optimizer_class(choice.name) is not type(self.own):
            groups: list[dict[str, Any]] = [
                {key: group[key] for key in ("params", "lr", "weight_decay") if key in group}
                for group in self.own.param_groups
            ]
            self.current = build_optimizer(groups, choice, rate=float(self.own.param_groups[0]["lr"]))
            return self.current
        self.current = self.own
        options = optimizer_options(choice) if choice is not None else {}
        keeps = [[bool(group.get(name)) for name in _BUFFER_OPTIONS] for group in self.own.param_groups]
        for group, own_options in zip(self.own.param_groups, self._own_options, strict=True):
            group.update(own_options)
            group.update(options)
        now_keeps = [[bool(group.get(name)) for name in _BUFFER_OPTIONS] for group in self.own.param_groups]
        if before is not self.own or keeps != now_keeps:
            forget_all_state(self.own)
        return self.own


_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@dataclass(slots=True)
class DropoutRates:
    """The original drop probability of each dropout layer, and the current override."""

    own: list[tuple[nn.Module, str, float]]
    is_overridden: bool = False

    @classmethod
    def of(cls, model: nn.Module) -> DropoutRates:
        found: list[tuple[nn.Module, str, float]] = []
        for module in model.modules():
            if isinstance(module, _DROPOUTS):
                found.append((module, "p", float(module.p)))
            elif isinstance(getattr(module, "dropout", None), float):
                found.append((module, "dropout", float(module.dropout)))  # type: ignore[arg-type]
        return cls(found)

    def check(self, override: str | None) -> None:
        """Raises :class:`DsdError` if the model has no dropout layer."""
        if override is not None and not self.own:
            raise DsdError("`dropout=` is set, but the model has no dropout layers", help="remove `dropout=`")

    def apply(self, override: str | None) -> None:
        """Sets the override on every dropout layer; None restores the originals."""
        if override is None and not self.is_overridden:
            return
        self.is_overridden = override is not None
        for module, attribute, own in self.own:
            setattr(module, attribute, float(exact(override)) if override is not None else own)


class Overrides:
    """All overrides of phases, on one model and its optimizer."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, groups: RateGroups) -> None:
        self._groups = groups
        self._choice = OptimizerChoice(optimizer)
        self._weight_decay = WeightDecay.of(optimizer, groups)
        self._dropout = DropoutRates.of(model)

    @property
    def optimizer(self) -> Optimizer:
        """The current optimizer."""
        return self._choice.current

    def check(self, plan: Plan) -> None:
        """Raises :class:`DsdError` for an override without anything to act on, before anything is trained."""
        for phase in plan.phases:
            self._choice.check(phase.opt, phase.wd)
            self._dropout.check(phase.dropout)
            UpdateRule.of(phase)

    def apply(self, phase: Phase) -> None:
        """Applies the overrides of a phase, and undoes those of the previous one."""
        optimizer = self._choice.apply(phase.opt)
        self._groups.follow(optimizer)
        self._weight_decay.apply(optimizer, phase.wd)
        self._dropout.apply(phase.dropout)

    def release(self) -> None:
        """Restores the model's original values; the optimizer must not be used afterwards."""
        self._dropout.apply(None)

    def state_dict(self) -> dict[str, Any]:
        return {
            "optimizer": self._groups.as_given(method(self.optimizer, "state_dict")()),
            "optimizer_class": type(self.optimizer).__name__,
            "weight_decay": list(self._weight_decay.own),
            "dropout": [own for _, _, own in self._dropout.own],
        }

    def load_state_dict(self, state: Mapping[str, Any], phase: Phase) -> None:
        """Loads a saved state, with the optimizer of the phase."""
        optimizer = self._choice.apply(phase.opt)
        if type(optimizer).__name__ != state["optimizer_class"]:
            raise DsdError(
                f"the saved run used the optimizer `{state['optimizer_class']}`, this one has "
                f"`{type(optimizer).__name__}`",
                help=f"resume with `torch.optim.{state['optimizer_class']}`",
            )
        try:
            method(optimizer, "load_state_dict")(_sharded(self._groups.split(state["optimizer"]), optimizer))
        except ValueError as error:
            message = f"the saved optimizer does not fit this one: {error}"
            raise DsdError(message, help="resume with the same model") from error
        self._weight_decay.own = list(state["weight_decay"])
        pairs = zip(self._dropout.own, state["dropout"], strict=True)
        self._dropout.own = [(module, attribute, own) for (module, attribute, _), own in pairs]


def _sharded(state: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """A saved optimizer state for sharded weights: of whole buffers of a weight's shape, this process's rows."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    if not any(map(is_sharded, weights)) or len(weights) != len(numbers):
        return dict(state)
    like = dict(zip(numbers, weights, strict=True))
    own = {
        number: {key: sharded_as(like[number], value) if isinstance(value, Tensor) else value for key, value in buffers}
        for number, buffers in ((number, entry.items()) for number, entry in state["state"].items())
    }
    return {**state, "state": own}
