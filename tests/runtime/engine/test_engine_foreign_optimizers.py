"""Optimizers of other packages, written by hand after the originals: taken off, masked whole, or refused by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, samples
from torch import Tensor, nn, optim

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.optimizer_state import largest_update_ratio


class Lookahead(optim.Optimizer):
    """As alphadl/lookahead.pytorch: `Optimizer.__init__` is left out, slow weights are in a state of its own."""

    def __init__(self, optimizer: optim.Optimizer, k: int = 2, alpha: float = 0.5) -> None:
        self.optimizer, self.k, self.alpha, self.count = optimizer, k, alpha, 0
        self.param_groups, self.defaults = optimizer.param_groups, optimizer.defaults
        self.state = defaultdict(dict)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.optimizer.step(closure)
        self.count += 1
        for group in self.param_groups:
            for weight in group["params"]:
                slow = self.state[weight].setdefault("slow", weight.detach().clone())
                if self.count % self.k == 0:
                    slow.add_(weight - slow, alpha=self.alpha)
                    weight.copy_(slow)


class Sam(optim.Optimizer):
    """As in davda54/sam: the first step goes along the gradients that are there, the second on those of the closure."""

    def __init__(self, params: Any, base: type[optim.Optimizer], rho: float = 0.5, **options: Any) -> None:
        super().__init__(params, {"rho": rho, **options})
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups
        self.first_gradients: list[list[Tensor]] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> None:  # type: ignore[override]
        weights = [weight for group in self.param_groups for weight in group["params"]]
        self.first_gradients.append([weight.grad.clone() for weight in weights])
        norm = torch.stack([weight.grad.norm() for weight in weights]).norm()
        for weight in weights:
            self.state[weight]["old"] = weight.detach().clone()
            weight.add_(weight.grad, alpha=0.5 / float(norm))
        closure()
        for weight in weights:
            weight.copy_(self.state[weight]["old"])
        self.base_optimizer.step()


WRAPPED = {
    "sgd": lambda model: optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "adam": lambda model: optim.AdamW(model.parameters(), lr=0.01),
}


@pytest.mark.parametrize("state", ["zero", "reset"])
@pytest.mark.parametrize("inside", WRAPPED)
def test_lookahead_keeps_no_pruned_weight_in_either_state(inside: str, state: str) -> None:
    """Its slow weights would bring back what was pruned, every k updates."""
    model = network()
    inner = WRAPPED[inside](model)
    optimizer = Lookahead(inner)
    session = begin(f"dense 3it lr=0.05; sparse 60% 5it state={state}; dense 2it", model, optimizer)
    rates = []
    while not session.done:
        session.begin_step()
        model.zero_grad()
        backward(model, *samples())
        session.step()
        rates.append(inner.param_groups[0]["lr"])
        if session.masks:
            assert_masked(session, model)
        for name, mask in session.masks.items():
            weight = model.get_parameter(name)
            for part in (inner, optimizer):
                for value in part.state[weight].values():
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        assert not bool(value[~mask].any())
    assert rates[:8] == [0.05] * 8
    assert optimizer.count == 10


def test_sam_takes_both_steps_on_masked_gradients() -> None:
    """The gradients of every evaluation are masked, those from before the closure too."""
    model = network()
    optimizer = Sam(model.parameters(), optim.SGD, lr=0.1, momentum=0.9)
    session = begin("sparse 70% 3it lr=0.1; dense 1it", model, optimizer)
    names = [name for name, _ in model.named_parameters()]
    seen_by_forward: list[bool] = []

    def closure() -> Tensor:
        model.zero_grad()
        for name, mask in session.masks.items():
            seen_by_forward.append(bool(model.get_parameter(name)[~mask].any()))
        return backward(model, *samples())

    while not session.done:
        session.begin_step()
        closure()
        session.step(closure=closure)
        if session.phase.mode == "sparse":
            assert_masked(session, model)
            first = dict(zip(names, optimizer.first_gradients[-1], strict=True))
            assert all(not bool(first[name][~mask].any()) for name, mask in session.masks.items())
    assert not any(seen_by_forward)


def test_the_advice_about_adam_reads_the_state_inside() -> None:
    """The step count that makes first updates large stands in the wrapped optimizer."""
    layer = nn.Linear(3, 3)
    inner = optim.Adam(layer.parameters(), lr=0.1)
    layer(torch.ones(2, 3)).sum().backward()
    inner.step()
    inner.state[layer.weight]["step"].fill_(20000)
    assert largest_update_ratio(Lookahead(inner), layer.weight) == largest_update_ratio(inner, layer.weight) > 6


class _Wrapper:
    """A duck-typed wrapper, such as FP16_Optimizer of apex or a warm-up scheduler that has `step()`."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups

    def step(self) -> None:
        self.optimizer.step()


def _with_groups_of_its_own(inner: optim.Optimizer) -> optim.Optimizer:
    wrapper = Lookahead(inner)
    wrapper.param_groups = [dict(group) for group in inner.param_groups]
    return wrapper


def _zero(inner: optim.Optimizer) -> optim.Optimizer:
    class ZeroRedundancyOptimizer(optim.SGD):
        pass

    return ZeroRedundancyOptimizer(inner.param_groups, lr=0.1)


REFUSED: dict[str, tuple[Callable[[optim.Optimizer], object], str, str]] = {
    "duck type": (_Wrapper, "a `_Wrapper` around a `SGD`", "optimizer.optimizer"),
    "own groups": (_with_groups_of_its_own, "parameter groups of its own", "optimizer.optimizer"),
    "scheduler": (
        lambda o: optim.lr_scheduler.StepLR(o, 3),
        "the scheduler `StepLR`",
        "the plan sets the learning rate",
    ),
    "scaler": (lambda _: torch.amp.GradScaler(enabled=False), "got a `GradScaler`", "torch.optim.SGD"),
    "list": (lambda o: [o], "got a `list`", "torch.optim.SGD"),
    "ZeRO": (_zero, "other ranks", "is whole"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_driven_is_refused_with_what_to_pass(name: str) -> None:
    wrap, said, advice = REFUSED[name]
    model = network()
    with pytest.raises(DsdError) as caught:
        begin("dense 1it lr=0.1; sparse 50% 1it", model, wrap(optim.SGD(model.parameters(), lr=0.1)))  # type: ignore[arg-type]
    assert said in caught.value.message
    assert advice in str(caught.value.help)
