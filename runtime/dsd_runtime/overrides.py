"""What a phase overrides for its own length: `opt= wd= clip= dropout=`, undone at the next phase that does not.

`batch=` is the data loader's business: the runner follows it, a user's own loop reads it from `session.phase.batch`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.errors import DsdError, nearest
from dsd_lang.plan import Function
from dsd_lang.units import exact

_OPTIMIZERS: dict[str, type[Optimizer]] = {
    name.lower(): value
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
}


def optimizer_class(name: str) -> type[Optimizer]:
    """The class of `torch.optim` of that name, in any case; raises :class:`DsdError` with the nearest name."""
    if name.lower() in _OPTIMIZERS:
        return _OPTIMIZERS[name.lower()]
    guess = nearest(name.lower(), list(_OPTIMIZERS))
    raise DsdError(
        f"there is no optimizer `{name}`; expected one of {', '.join(sorted(_OPTIMIZERS))}",
        help=f"did you mean `{guess}`?" if guess else None,
    )


def plain_value(value: str | bool) -> str | bool | float:
    """An argument of the plan as Python data: numbers as floats, the rest as it is."""
    if isinstance(value, bool):
        return value
    try:
        return float(exact(value))
    except (ValueError, ZeroDivisionError):
        return value


def optimizer_options(choice: Function) -> dict[str, Any]:
    """The keyword arguments a choice such as `sgd(momentum=0.9, nesterov=on)` gives its class.

    `beta1=`, `beta2=` stand for `betas`; an option that the class does not have is an error.
    """
    options: dict[str, Any] = {name: plain_value(value) for name, value in choice.arguments.items()}
    known = inspect.signature(optimizer_class(choice.name)).parameters
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
    parameters: Iterable[nn.Parameter] | list[dict[str, Any]], choice: Function, *, rate: float, weight_decay: float = 0.0
) -> Optimizer:
    """An optimizer of `torch.optim` from the plan's words."""
    chosen = optimizer_class(choice.name)
    options = optimizer_options(choice)
    if "weight_decay" in inspect.signature(chosen).parameters:
        options.setdefault("weight_decay", weight_decay)
    construct: Callable[..., Optimizer] = chosen
    try:
        return construct(parameters, lr=rate, **options)
    except (TypeError, ValueError) as error:
        raise DsdError(f"`{choice.name}` cannot be built: {str(error).lower()}") from error


@dataclass(slots=True)
class WeightDecay:
    """The weight decay of each group as the optimizer came, and the override in force."""

    own: list[float]

    @classmethod
    def of(cls, optimizer: Optimizer) -> WeightDecay:
        return cls([float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups])

    def apply(self, optimizer: Optimizer, override: str | None) -> None:
        """Sets the override on every group that decays at all (all, when none does); None restores the own values."""
        decays = any(self.own)
        for group, own in zip(optimizer.param_groups, self.own, strict=True):
            if "weight_decay" not in group:
                if override is not None:
                    raise DsdError(f"`{type(optimizer).__name__}` has no weight decay to set with `wd=`")
                continue
            takes_override = override is not None and (own or not decays)
            group["weight_decay"] = float(exact(override)) if takes_override and override is not None else own


_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@dataclass(slots=True)
class DropoutRates:
    """The drop probability of each dropout layer as the model came, and the override in force."""

    own: list[tuple[nn.Module, str, float]]

    @classmethod
    def of(cls, model: nn.Module) -> DropoutRates:
        found: list[tuple[nn.Module, str, float]] = []
        for module in model.modules():
            if isinstance(module, _DROPOUTS):
                found.append((module, "p", float(module.p)))
            elif isinstance(getattr(module, "dropout", None), float):
                found.append((module, "dropout", float(module.dropout)))  # type: ignore[arg-type]
        return cls(found)

    def apply(self, override: str | None) -> None:
        """Sets the override on every dropout layer; None restores the own values."""
        if override is not None and not self.own:
            raise DsdError("`dropout=` is set, but the model has no dropout layer", help="remove `dropout=`")
        for module, attribute, own in self.own:
            setattr(module, attribute, float(exact(override)) if override is not None else own)


def clip_gradients(parameters: list[nn.Parameter], choice: Function | float | None) -> None:
    """Clips gradients in place: `5` or `norm(5)` by their global norm, `value(5)` element by element."""
    if choice is None:
        return
    if isinstance(choice, Function):
        kind, bound = choice.name, float(exact(str(choice.arguments["0"])))
    else:
        kind, bound = "norm", float(choice)
    if kind == "value":
        nn.utils.clip_grad_value_(parameters, bound)
    elif kind == "norm":
        nn.utils.clip_grad_norm_(parameters, bound)
    else:
        raise DsdError(f"`clip={kind}(...)` is not known", help="write `clip=5`, `clip=norm(5)` or `clip=value(5)`")


def add_l1(parameters: Iterable[nn.Parameter], strength: float) -> None:
    """Adds the gradient of an L1 penalty, ``strength x sign(w)``, to every matrix."""
    for parameter in parameters:
        if parameter.grad is not None and parameter.dim() >= 2:
            penalty: Tensor = parameter.detach().sign()
            parameter.grad.add_(penalty, alpha=strength)
