"""Small networks, data and loops that the tests of the session share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import dsd_lang
from dsd_runtime import Session, attach

Build = Callable[[list[nn.Parameter]], Optimizer]

NUM_FEATURES, NUM_CLASSES = 12, 4


def network(seed: int = 0, *, bias: bool = True, dropout: float = 0.0) -> nn.Sequential:
    """A three-layer perceptron of 12-16-16-4 units."""
    torch.manual_seed(seed)
    layers = [nn.Linear(NUM_FEATURES, 16, bias=bias), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 16, bias=bias)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(16, NUM_CLASSES, bias=bias))


def samples(count: int = 32, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Features [count, 12] and labels [count]."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, NUM_FEATURES, generator=generator)
    return features, torch.randint(0, NUM_CLASSES, (count,), generator=generator)


def shuffled_loader(count: int = 32, batch_size: int = 8, **options: object) -> torch.utils.data.DataLoader:
    """A loader whose order comes from torch's global generator."""
    dataset = torch.utils.data.TensorDataset(*samples(count))
    return torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=True, **options)  # type: ignore[arg-type]


def begin(text: str, model: nn.Module, optimizer: Optimizer, *, steps: int = 4, **options: object) -> Session:
    """A session on a schedule given as text."""
    return attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=steps, **options)  # type: ignore[arg-type]


def backward(model: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    """A loss and its gradients."""
    loss = nn.functional.cross_entropy(model(features), labels)
    loss.backward()
    return loss


def one_update(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor] | None = None) -> None:
    """A whole update of a loop that does not use `batches()`."""
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *(batch or samples()))
    session.step()


def whole_update(session: Session, model: nn.Module, *, seed: int) -> None:
    """A whole update on samples of that seed."""
    one_update(session, model, samples(16, seed=seed))


def updates(session: Session, model: nn.Module) -> Iterator[int]:
    """Trains to the end, yielding after each update."""
    while not session.done:
        one_update(session, model)
        yield session.total_updates


def run(session: Session, model: nn.Module) -> None:
    """Trains to the end."""
    for _ in updates(session, model):
        pass


def is_positive_zero(values: Tensor) -> bool:
    """Whether every element is +0.0, bit by bit."""
    return not values.numel() or (bool((values == 0).all()) and not bool(torch.signbit(values).any()))


def assert_masked(session: Session, model: nn.Module, *, gradients: bool = True) -> None:
    """Weights, gradients and every same-shape state buffer are +0.0 wherever a mask is false."""
    assert session.masks
    for name, mask in session.masks.items():
        parameter = model.get_parameter(name)
        assert is_positive_zero(parameter.detach()[~mask]), f"weights of {name}"
        if gradients and parameter.grad is not None:
            gradient = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
            assert is_positive_zero(gradient[~mask]), f"gradients of {name}"
        for key, buffer in session.optimizer.state.get(parameter, {}).items():
            if isinstance(buffer, Tensor) and buffer.dim() and buffer.shape == parameter.shape:
                assert is_positive_zero(buffer[~mask]), f"state `{key}` of {name}"
