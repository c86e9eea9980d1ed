"""What `peer_methods.py` asks of a tool, the networks that it asks it with, and how a tool for a loop is asked."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dsd_runtime import Session

UPDATES = 10
SHARE = 0.5
WORDS = torch.arange(16)


class Plain(nn.Module):
    """704 weights in two matrices."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(20, 32)
        self.last = nn.Linear(32, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(inputs)))


class Recurrent(nn.Module):
    """An LSTM and a classifier on its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.lstm(inputs)[0][-1])


class Tied(nn.Module):
    """An embedding, a matrix, and a classifier that is the embedding: 128 + 64 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.mid = nn.Linear(8, 8, bias=False)
        self.out = nn.Linear(8, 16, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.out(torch.relu(self.mid(self.embed(words))))


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def batches(seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """10 batches that depend on the seed only."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(UPDATES):
        yield torch.randn(64, 20, generator=generator), torch.randint(0, 2, (64,), generator=generator)


class Batches(torch.utils.data.IterableDataset[tuple[Tensor, Tensor]]):
    """The same 10 batches in every pass."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return batches(0)

    def __len__(self) -> int:
        return UPDATES


def loader() -> Any:
    return torch.utils.data.DataLoader(Batches(), batch_size=None)


def example(model: nn.Module) -> Tensor:
    """An input that the network takes."""
    shapes = {Recurrent: torch.zeros(5, 4, 6), Tied: WORDS}
    return shapes.get(type(model), torch.zeros(1, 20))


def zeros(tensor: Tensor) -> Tensor:
    return tensor.detach() == 0


def shares(weights: dict[str, Tensor]) -> str:
    """`embed 50%, out 0%`: the share of zeros in each."""
    return ", ".join(f"{name} {float(zeros(weight).float().mean()):.0%}" for name, weight in weights.items())


class Run(NamedTuple):
    """A network in training with the tool's own objects."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    tool: Any = None


def train(run: Run, seed: int) -> None:
    step = run.tool.step if isinstance(run.tool, Session) else run.optimizer.step
    for inputs, labels in batches(seed):
        run.optimizer.zero_grad()
        cross_entropy(run.model(inputs), labels).backward()
        step()


class Probes(ABC):
    """The four questions for one tool."""

    @abstractmethod
    def plain(self) -> str:
        """What is left of masks when the saved weights are loaded into a network that the tool has not touched."""

    @abstractmethod
    def resume(self) -> str:
        """What is left of masks and bits after loading."""

    @abstractmethod
    def recurrent(self) -> str:
        """What is pruned of an LSTM by default."""

    @abstractmethod
    def redense(self) -> str:
        """What pruned weights are when they come back."""

    @abstractmethod
    def tied(self) -> str:
        """What becomes of a classifier tied to an embedding."""


class LoopTool(Probes):
    """A tool for the user's own loop: how it starts, and what it saves."""

    @abstractmethod
    def start(self, model: nn.Module) -> Run:
        """After a dense training of 10 updates half of the weights are pruned."""

    def save(self, run: Run) -> Any:
        """All that the tool offers to save."""
        return copy.deepcopy((run.model.state_dict(), run.optimizer.state_dict()))

    def load(self, run: Run, saved: Any) -> None:
        """Into new objects, prepared as `start` does."""
        run.model.load_state_dict(saved[0])
        run.optimizer.load_state_dict(saved[1])

    def weight(self, model: nn.Module, name: str) -> Tensor:
        """The values that the forward pass uses."""
        module, _, attribute = name.rpartition(".")
        return getattr(model.get_submodule(module), attribute)

    @abstractmethod
    def lifted(self, run: Run) -> Tensor | None:
        """Back to dense; the parameter of the first matrix, or None if the tool has no way back."""

    @abstractmethod
    def count(self, run: Run) -> int:
        """How many weights the tool counts."""

    def plain(self) -> str:
        run = self.start(Plain())
        train(run, 1)
        pruned = zeros(self.weight(run.model, "first.weight"))
        plain = Plain()
        try:
            plain.load_state_dict(self.save(run)[0])
        except RuntimeError:
            return "refused"
        train(Run(plain, sgd(plain)), 2)
        return kept(plain.first.weight, pruned)

    def resume(self) -> str:
        whole = self.start(Plain())
        train(whole, 1)
        pruned = zeros(self.weight(whole.model, "first.weight"))
        again, left = whole, []
        for seed in (2, 3):
            again = self.again(self.save(again))
            train(whole, seed)
            train(again, seed)
            for run in (whole, again):
                run.model(torch.zeros(1, 20))
            left.append(kept(self.weight(again.model, "first.weight"), pruned))
        return f"{left[0]}, then {left[1]}; {self.bits(whole.model, again.model)}"

    def again(self, saved: Any) -> Run:
        """Loaded into a network with other weights, and so with other masks."""
        run = self.start(Plain(seed=2))
        self.load(run, saved)
        return run

    def bits(self, one: nn.Module, other: nn.Module) -> str:
        pairs = [(self.weight(model, "first.weight") for model in (one, other))]
        return "same bits" if all(torch.equal(*pair) for pair in pairs) else "other bits"

    def recurrent(self) -> str:
        model = self.start(Recurrent()).model
        names = {"ih": "lstm.weight_ih_l0", "hh": "lstm.weight_hh_l0", "out": "out.weight"}
        return shares({short: self.weight(model, name) for short, name in names.items()})

    def redense(self) -> str:
        run = self.start(Plain())
        pruned = zeros(self.weight(run.model, "first.weight"))
        for seed in (1, 2, 3):
            train(run, seed)
        parameter = self.lifted(run)
        if parameter is None:
            return "no way back"
        momentum = run.optimizer.state[parameter]["momentum_buffer"][pruned].abs().max()
        values = self.weight(run.model, "first.weight").detach()[pruned].abs().max()
        return f"value {float(values):.3f}, momentum {float(momentum):.3f}"

    def tied(self) -> str:
        run = self.start(Tied())
        run.model(WORDS)
        weights = {short: self.weight(run.model, f"{short}.weight") for short in ("embed", "out")}
        return f"{shares(weights)}; counts {self.count(run)}"


class TrainedThenPruned(LoopTool):
    """A tool that prunes a network which was trained without it."""

    def start(self, model: nn.Module) -> Run:
        optimizer = sgd(model)
        if isinstance(model, Plain):
            train(Run(model, optimizer), 0)
        return self.prune(model, optimizer)

    @abstractmethod
    def prune(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Run:
        """Half of the weights of a trained network."""


def kept(weight: Tensor, pruned: Tensor) -> str:
    return f"{int(zeros(weight)[pruned].sum())} of {int(pruned.sum())}"
