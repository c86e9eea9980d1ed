"""What `benchmarks/gpu.py` times: training loops of a model, recurrent layers, selections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

import dsd_lang
from dsd_runtime import CapturedMasks, attach
from dsd_runtime.data.batch import Batch, CaptionBatch, ImageBatch, SpeechBatch
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.masks import Pruned, choose_masks
from dsd_runtime.models import graphed_loops
from dsd_runtime.models.frames import Frames
from dsd_runtime.models.lstm import CaptionLstm
from dsd_runtime.models.recurrent import BidirectionalRecurrent
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.tasks.choose import task_for
from dsd_runtime.training.tasks.task import Task

Run = Callable[[], object]
"""One unit of work; it leaves the device busy."""

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz' ")


@dataclass(frozen=True)
class Workload:
    """A model's training: its batch, and its sizes for `--quick`."""

    model: str
    small: str
    samples: int
    frames: int = 0
    pixels: int = 0

    def sized(self, *, is_quick: bool) -> Workload:
        """For a look at whether everything runs."""
        return Workload(self.small, self.small, 2, min(self.frames, 24), min(self.pixels, 32)) if is_quick else self

    def traits(self) -> DataTraits:
        """The data's properties."""
        if self.frames:
            return DataTraits("ctc", alphabet=LETTERS, num_features=161)
        if self.pixels:
            classes = 1000 if self.pixels > 64 else 10
            return DataTraits("classification", num_classes=classes, image_shape=(3, self.pixels, self.pixels))
        words = tuple(f"w{index}" for index in range(2538))
        return DataTraits("captioning", vocabulary=words, feature_dim=4096)

    def batch(self) -> Batch:
        """Random data on the CPU."""
        count = self.samples
        if self.frames:
            lengths = torch.linspace(0.7 * self.frames, self.frames, count).long()
            symbols = torch.full((count,), self.frames // 12)
            targets = torch.randint(1, len(LETTERS), (int(symbols.sum()),))
            return SpeechBatch(torch.randn(count, self.frames, 161), lengths, targets, symbols, ("",) * count)
        if self.pixels:
            labels = torch.randint(0, 10, (count,))
            return ImageBatch(torch.randn(count, 3, self.pixels, self.pixels), labels)
        words = torch.randint(1, 2538, (count, 16))
        return CaptionBatch(torch.randn(count, 4096), words, words.roll(-1, 1), torch.full((count,), 16))


WORKLOADS = (
    Workload("resnet20", "resnet20:width=4", 128, pixels=32),
    Workload("resnet50", "resnet18", 128, pixels=224),
    Workload("ds1", "ds1:hidden=16", 16, frames=600),
    Workload("ds2", "ds2:hidden=16,layers=2,channels=2", 16, frames=600),
    Workload("neuraltalk", "neuraltalk:hidden=16", 100),
)


@dataclass
class Training:
    """A model, its optimizer and a batch on the device."""

    workload: Workload
    device: torch.device
    precision: str
    is_capturable: bool = False
    task: Task = field(init=False)
    model: nn.Module = field(init=False)
    batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.task = task_for(self.workload.traits())
        self.model = build_model(self.workload.model, self.workload.traits()).to(self.device)
        self.batch = self.workload.batch().to(self.device)
        self.forward: Any = self.model
        rate = torch.tensor(1e-6, device=self.device) if self.is_capturable else 1e-6
        is_fused = self.is_capturable  # the form whose rate may be a tensor without waiting for it
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.9, nesterov=True, fused=is_fused)

    def compiled(self) -> Training:
        """The same with a compiled forward pass."""
        self.forward = torch.compile(self.model)
        return self

    def gradients(self, *, keeps_memory: bool = False) -> None:
        """Forward and backward pass."""
        self.optimizer.zero_grad(set_to_none=not keeps_memory)
        with self._autocast():
            loss = self.task.loss(self.forward, self.batch)
        loss.backward()  # type: ignore[no-untyped-call]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def plain(training: Training) -> Run:
    """The loop that one writes without this project."""

    def run() -> None:
        training.gradients()
        training.optimizer.step()

    return run


def in_session(training: Training, phase: str) -> Run:
    """The same loop with a session in a phase that never ends."""
    plan = dsd_lang.compile(f"set lr=1e-6\n{phase} 1000000it")
    session = attach(plan, training.model, training.optimizer, steps_per_epoch=1_000_000)

    def run() -> None:
        session.begin_step()
        training.gradients()
        session.step()

    return run


def captured(training: Training, phase: str | None) -> Run:
    """Whole updates from a CUDA graph (on other devices the same calls without one); without a phase the plain loop."""
    plan = dsd_lang.compile(f"set lr=1e-6\n{phase or 'dense'} 1000000it")
    session = attach(plan, training.model, training.optimizer, steps_per_epoch=1_000_000)
    masks = CapturedMasks(session)

    def update() -> None:
        training.gradients(keeps_memory=True)
        if phase is not None:
            masks.apply()
        else:
            session._line.guard.open()
        training.optimizer.step()

    graph: list[Run] = []

    def run() -> None:
        session.begin_step()
        if masks.follow():
            graph.clear()
            update()
        else:
            if not graph:
                graph.append(graphed_loops.recorded_once(update, training.device))
            graph[0]()
        masks.count_update()

    return run


def loops(workload: Workload, device: torch.device, precision: str, *, kinds: frozenset[str]) -> dict[str, Run]:
    """The training loops of a model by name; the first is the one that the others are compared with."""

    def made(is_capturable: bool = False) -> Training:
        return Training(workload, device, precision, is_capturable)

    found = {
        "plain loop": plain(made()),
        "session, dense": in_session(made(), "dense"),
        "session, sparse 50%": in_session(made(), "sparse 50%"),
    }
    if workload.frames and device.type == "cuda":
        found["session, sparse 50%, recurrence in graphs"] = with_graphed_recurrence(in_session(made(), "sparse 50%"))
    if "compile" in kinds and workload.pixels:
        found["compiled, plain loop"] = plain(made().compiled())
        found["compiled, sparse 50%"] = in_session(made().compiled(), "sparse 50%")
    if "graph" in kinds and workload.pixels:
        found["CUDA graph, plain loop"] = captured(made(is_capturable=True), None)
        found["CUDA graph, sparse 50%"] = captured(made(is_capturable=True), "sparse 50%")
    return found


def with_graphed_recurrence(run: Run) -> Run:
    """The same with the recurrence's own graphs, which stay off elsewhere."""

    def graphed() -> None:
        graphed_loops.switch(True)
        try:
            run()
        finally:
            graphed_loops.switch(False)

    return graphed


def recurrent_layers(hidden: int, frames: int, samples: int, device: torch.device) -> dict[str, Run]:
    """Forward and backward passes of the recurrent layers beside those of `torch.nn`, on equal inputs."""
    rows = torch.randn(frames * samples, hidden, device=device, requires_grad=True)
    inputs = rows.detach().view(frames, samples, hidden).requires_grad_()
    valid = Frames.of(torch.full((samples,), frames), frames, device)
    ours = BidirectionalRecurrent(hidden, hidden).to(device)
    rnn = nn.RNN(hidden, hidden, bidirectional=True, nonlinearity="relu").to(device)
    with torch.no_grad():
        for name, weight in rnn.named_parameters():
            if "weight_hh" in name:
                weight.copy_(ours.weight_hh_forward)
    caption, lstm = CaptionLstm(hidden).to(device), nn.LSTM(hidden, hidden).to(device)
    found = {
        "nn.RNN": _there_and_back(lambda: rnn(inputs)[0]),
        "bidirectional recurrence": _there_and_back(lambda: ours(rows, valid)),
    }
    if device.type == "cuda":
        found["bidirectional recurrence, in graphs"] = with_graphed_recurrence(found["bidirectional recurrence"])
    found["nn.LSTM"] = _there_and_back(lambda: lstm(inputs)[0])
    found["caption LSTM"] = _there_and_back(lambda: caption(inputs))
    return found


def _there_and_back(forward: Callable[[], Tensor]) -> Run:
    return lambda: forward().sum().backward()


def selections(elements: int, device: torch.device, *, with_peers: bool) -> dict[str, Run]:
    """Half of so many weights is selected, in one tensor of rows of 1,024."""
    weights = torch.randn(max(1, elements // 1024), 1024, device=device)
    found: dict[str, Run] = {
        "dsd": lambda: choose_masks(weights={"w": weights}, target=Pruned(Fraction(1, 2))).masks["w"]
    }
    if with_peers:
        found["torch.kthvalue"] = lambda: weights.abs() > weights.abs().view(-1).kthvalue(weights.numel() // 2).values
        found["torch.sort"] = lambda: weights.abs().view(-1).sort(descending=True).indices[: weights.numel() // 2]
    return found


def sizes(*, is_quick: bool) -> Iterator[tuple[int, int, int]]:
    """Hidden units, frames and samples of the recurrent layers: Deep Speech 1 and 2 at 6 s, and NeuralTalk."""
    yield from ((8, 6, 2),) if is_quick else ((1024, 300, 16), (1760, 300, 16), (256, 17, 100))
