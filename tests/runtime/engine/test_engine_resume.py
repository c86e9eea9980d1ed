"""Saved and resumed anywhere, changed schedules, and the plain loop: rows 17, 18 and 20 of the engine's table."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_loops import backward, begin, network, one_update, run, samples, shuffled_loader
from torch import nn, optim

from dsd_lang.base.errors import DsdError
from dsd_runtime import Session

Build = Callable[[nn.Module], optim.Optimizer]
BUILDS: dict[str, Build] = {
    "sgd": lambda model: optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adamw": lambda model: optim.AdamW(model.parameters(), lr=0.01),
}
SCHEDULES = {
    "d-s-d": "dense 1.5ep lr=0.05; sparse 50% 2ep; dense 1ep state=reset",
    "ramp": "sparse 20%->80% every=2it 2ep lr=0.05 decay=cosine; dense 1ep warmup=2it restore=saved state=reset",
    "until": "dense 3ep lr=0.05 until val.loss < 9 and plateau(val.loss, patience=1); sparse 50% 1ep; "
    "dense 1ep state=reset",
    "references": "a: dense 1ep lr=0.05; dense 1ep; sparse 60% from=@a.2it 1.25ep clock=@a.2it decay=linear; "
    "dense 1ep restore=@init state=reset",
    "moving masks": "sparse 60% 2ep lr=0.05 update=rigl(every=2it); sparse held 1ep update=set(drop=50%, every=1it) "
    "state=reset; sparse 0->70% every=2it 1.5ep update=magnitude(every=1it); dense 2it restore=saved state=reset",
    "overrides": "dense 1ep lr=0.05 dropout=0.5 wd=0.1; sparse 50% 1ep opt=adagrad l1=1e-3; "
    "dense 1ep opt=sgd(momentum=0.5); dense 2it",
    "groups": "dense 1ep lr=[output: 1e-3, all: 0.05] decay=linear; sparse 50% 1ep clip=0.1 opt=adagrad; "
    'dense 3it lr=["0": last/2, fc: 0.3*last, all: last] state=reset; dense 2it lr=0.01',
    "units": "sparse 20%->60% unit=block(2, 3) every=2it 1ep lr=0.05; sparse 50% scope=row 3it; "
    "sparse 30% of=remaining alloc=erk 3it; sparse 40% unit=filter scope=group layers=fc 2it; dense 2it state=reset",
    "freeze": 'dense 1ep lr=0.05 freeze="0"; sparse 50% 1ep freeze=output,"3.bias"; '
    'dense 2it freeze="3" opt=adagrad; dense 2it',
    "loop": "repeat 3 until gain(val.loss) < 0.001 { dense 1ep lr=0.05; sparse 50% 3it state=reset }; "
    "dense 1ep state=reset",
}


def _train(
    session: Session,
    model: nn.Module,
    loader: torch.utils.data.DataLoader,
    *,
    saves: list[Any] | None = None,
    stop_after: int | None = None,
) -> None:
    """The contract's loop; keeps (model, session) after every update in ``saves``."""
    for _ in session.epochs():
        for features, labels in session.batches(loader):
            session.optimizer.zero_grad()
            backward(model, features, labels)
            session.step()
            if saves is not None:
                saves.append(_saved(session, model))
            if session.total_updates == stop_after:
                return
        model.eval()
        with torch.no_grad():
            loss = float(nn.functional.cross_entropy(model(samples()[0]), samples()[1]))
        model.train()
        session.report({"val.loss": loss})
        if saves is not None:
            saves.append(_saved(session, model))


def _saved(session: Session, model: nn.Module) -> Any:
    return copy.deepcopy((model.state_dict(), session.state_dict()))


def _weights(model: nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in model.parameters()]


@pytest.mark.filterwarnings("ignore:phase")
@pytest.mark.parametrize("weights_first", [True, False], ids=["weights before attach", "weights after attach"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", BUILDS)
def test_resumed_anywhere_the_run_ends_bit_identical(schedule: str, optimizer: str, weights_first: bool) -> None:
    """Row 17: saved after every update and every report (so at each boundary +-1), resumed in a fresh model."""
    text, build = SCHEDULES[schedule], BUILDS[optimizer]
    model = network(dropout=0.2)
    session = begin(text, model, build(model))
    torch.manual_seed(7)
    saves: list[Any] = []
    _train(session, model, shuffled_loader(), saves=saves)
    ends, kinds = _weights(model), [(event.kind, event.update, event.phase) for event in session.events]
    if weights_first:
        saves = saves[::3]
    for weights, state in saves:
        torch.manual_seed(99)
        other = network(seed=5, dropout=0.2)
        if weights_first:
            other.load_state_dict(weights)
        resumed = begin(text, other, build(other))
        if not weights_first:
            other.load_state_dict(weights)
        resumed.load_state_dict(copy.deepcopy(state))
        _train(resumed, other, shuffled_loader())
        assert all(torch.equal(a, b) for a, b in zip(ends, _weights(other), strict=True)), state["total"]
        assert [(event.kind, event.update, event.phase) for event in resumed.events] == kinds
        assert resumed.done


@pytest.mark.parametrize("stop", [3, 6, 7, 8])
def test_state_goes_through_files(tmp_path: Path, stop: int) -> None:
    """Row 17: nothing in the state needs pickling; it goes through JSON and safetensors, and `torch.load` takes it."""
    checkpoint = pytest.importorskip("dsd_runtime.storage.checkpoint")
    text, build = SCHEDULES["references"], BUILDS["adamw"]
    model = network(dropout=0.2)
    session = begin(text, model, build(model))
    torch.manual_seed(7)
    _train(session, model, shuffled_loader(), stop_after=stop)
    checkpoint.save_checkpoint(tmp_path / "one", {"session": session.state_dict()})
    buffer = io.BytesIO()
    torch.save(session.state_dict(), buffer)
    weights = copy.deepcopy(model.state_dict())
    _train(session, model, shuffled_loader())
    buffer.seek(0)
    for state in (checkpoint.load_checkpoint(tmp_path / "one")["session"], torch.load(buffer, weights_only=True)):
        other = network(seed=5, dropout=0.2)
        resumed = begin(text, other, build(other))
        other.load_state_dict(weights)
        resumed.load_state_dict(state)
        _train(resumed, other, shuffled_loader())
    assert resumed.total_updates == session.total_updates
    assert [event.kind for event in resumed.events] == [event.kind for event in session.events]


def _loader_of_its_own_order(seed: int, where: str) -> torch.utils.data.DataLoader:
    """By a generator of the loader, or by one of its sampler beside it."""
    generator = torch.Generator().manual_seed(seed)
    if where == "loader":
        return shuffled_loader(generator=generator)
    dataset = torch.utils.data.TensorDataset(*samples())
    sampler = torch.utils.data.RandomSampler(dataset, generator=generator)
    return torch.utils.data.DataLoader(dataset, batch_size=8, sampler=sampler, generator=torch.Generator())


@pytest.mark.parametrize(
    ("where", "saved_at"), [("loader", 2), ("loader", 4), ("loader", 6), ("loader", 9), ("sampler", 4), ("sampler", 6)]
)
def test_a_loader_with_a_generator_of_its_own_goes_on_too(where: str, saved_at: int) -> None:
    """Row 17: the order of a `DataLoader(generator=...)` is part of the state, in an epoch and between two."""
    text = "dense 2ep lr=0.05; sparse 50% 1ep"
    orders: list[list[float]] = []
    model = network()
    session = begin(text, model, BUILDS["sgd"](model))
    loader = _loader_of_its_own_order(3, where)
    seen: list[float] = []
    saved: Any = None
    while not session.done:
        for features, labels in session.batches(loader):
            seen.append(float(features.sum()))
            session.optimizer.zero_grad()
            backward(model, features, labels)
            session.step()
            if session.total_updates == saved_at:
                saved = _saved(session, model)
    orders.append(seen[saved_at:])
    other = network(seed=4)
    resumed = begin(text, other, BUILDS["sgd"](other))
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    again: list[float] = []
    fresh_loader = _loader_of_its_own_order(11, where)
    while not resumed.done:
        for features, labels in resumed.batches(fresh_loader):
            again.append(float(features.sum()))
            resumed.optimizer.zero_grad()
            backward(other, features, labels)
            resumed.step()
    assert again == orders[0]
    assert all(torch.equal(a, b) for a, b in zip(_weights(model), _weights(other), strict=True))


def test_resuming_on_a_loader_that_is_too_short_is_an_error() -> None:
    """Row 17: other data than the saved run had."""
    model = network()
    session = begin("dense 1ep lr=0.05", model, BUILDS["sgd"](model))
    _train(session, model, shuffled_loader(), stop_after=3)
    state = session.state_dict()
    resumed = begin("dense 1ep lr=0.05", model, BUILDS["sgd"](model))
    resumed.load_state_dict(state)
    with pytest.raises(DsdError, match="ended before batch 3"):
        next(resumed.batches(shuffled_loader(16)))


def _state_after(text: str, count: int) -> Any:
    model = network()
    session = begin(text, model, BUILDS["sgd"](model))
    for _ in range(count):
        one_update(session, model)
    return _saved(session, model)


def _resumed(text: str, saved: Any, **options: Any) -> tuple[Session, nn.Module]:
    model = network(seed=3)
    session = begin(text, model, BUILDS["sgd"](model), **options)
    model.load_state_dict(saved[0])
    session.load_state_dict(saved[1])
    return session, model


def test_a_changed_tail_goes_on() -> None:
    """Row 18: what was executed is unchanged; labels, comments and later phases may be other ones."""
    saved = _state_after("dense 3it lr=0.1; sparse 50% 4it; dense 2it", 5)
    text = "first: dense 3it lr=0.1 # the same\nsparse 0.5 4it; sparse 75% 3it; dense 5it lr=0.02"
    session, model = _resumed(text, saved)
    run(session, model)
    assert session.total_updates == 15
    assert session.phase.lr == 0.02


def test_a_finished_run_may_be_prolonged() -> None:
    """Row 18: phases appended after the end are trained."""
    saved = _state_after("dense 3it lr=0.1", 3)
    session, model = _resumed("dense 3it lr=0.1; sparse 50% 2it", saved)
    assert not session.done
    run(session, model)
    assert session.total_updates == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dense 3it lr=0.2; sparse 50% 4it", r"phase 0 .*`lr`.*start=0\.1.*start=0\.2"),
        ("dense 3it lr=0.1; sparse 60% 4it", r"phase 1 .*`target`"),
        ("dense 2it lr=0.1; sparse 50% 4it", r"phase 0 .*`duration`"),
        ("dense 3it lr=0.1", "executed 2 phases, the schedule has 1"),
    ],
)
def test_a_changed_prefix_is_an_error_with_the_first_difference(text: str, message: str) -> None:
    """Row 18: phase, argument, both values."""
    saved = _state_after("dense 3it lr=0.1; sparse 50% 4it; dense 2it", 5)
    with pytest.raises(DsdError, match=message) as caught:
        _resumed(text, saved)
    assert "start again" in str(caught.value.help)


def test_another_batch_size_is_an_error() -> None:
    """Row 18: the same epochs with other updates are another run."""
    saved = _state_after("dense 2ep lr=0.1; sparse 50% 1ep", 3)
    with pytest.raises(DsdError, match="phase 0 was trained with `updates` = 8, now it has 4"):
        _resumed("dense 2ep lr=0.1; sparse 50% 1ep", saved, steps=2)


def test_another_optimizer_or_model_is_an_error() -> None:
    """Row 18: one sentence, no traceback from within torch."""
    saved = _state_after("dense 3it lr=0.1", 2)
    model = network()
    session = begin("dense 3it lr=0.1", model, optim.AdamW(model.parameters(), lr=0.1))
    with pytest.raises(DsdError, match="`SGD`, this one has `AdamW`"):
        session.load_state_dict(saved[1])
    session = begin("dense 3it lr=0.1", model, BUILDS["sgd"](model[0]))
    with pytest.raises(DsdError, match="does not fit"):
        session.load_state_dict(saved[1])


def test_a_saved_state_does_not_change_with_the_run() -> None:
    """What is not a tensor of the optimizer is a copy."""
    model = network()
    session = begin("repeat 2 until gain(val.loss) < 0 { sparse 50% 2it lr=0.1 }", model, BUILDS["sgd"](model))
    state = session.state_dict()
    before = copy.deepcopy({key: state[key] for key in ("succession", "events", "last_rates", "position", "step")})
    run(session, model)
    session.report({"val.loss": 1.0})
    assert {key: state[key] for key in before} == before


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_dense_only_plan_is_the_plain_loop(optimizer: str, groups: int) -> None:
    """Row 20: bit-identical weights, and the same random numbers consumed."""

    def build(model: nn.Sequential) -> optim.Optimizer:
        kind = {"sgd": optim.SGD, "adamw": optim.AdamW}[optimizer]
        rest = [*model[3].parameters(), *model[5].parameters()]
        parts = [{"params": model[0].parameters(), "lr": 0.013}, {"params": rest}]
        return kind(parts if groups == 2 else model.parameters(), lr=0.03)

    plain = network(dropout=0.3)
    reference = build(plain)
    torch.manual_seed(7)
    loader = shuffled_loader()
    for _ in range(3):
        for features, labels in loader:
            reference.zero_grad()
            backward(plain, features, labels)
            reference.step()
    state = torch.get_rng_state()

    model = network(dropout=0.3)
    torch.manual_seed(7)
    session = begin("dense 1ep; dense 2ep", model, build(model))
    _train(session, model, shuffled_loader())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(_weights(plain), _weights(model), strict=True))
    for mine, theirs in zip(session.optimizer.state.values(), reference.state.values(), strict=True):
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs if isinstance(theirs[key], torch.Tensor))
