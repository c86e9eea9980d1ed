"""Masks that move (`update=`): counts kept, the right weights found, every loop and number of processes alike."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import cos, pi
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, one_update, run, samples, updates
from several_ranks import in_ranks
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel

import dsd_lang
from dsd_lang import DsdError
from dsd_lang.plan.moving import MaskUpdates
from dsd_lang.plan.scaling import scaled_plan
from dsd_runtime import CapturedMasks, DsdWarning, Session
from dsd_runtime.engine.events import Event, packed, record_event, unpacked

BUILDS: dict[str, Callable[[list[nn.Parameter]], optim.Optimizer]] = {
    "sgd": lambda weights: optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "adamw": lambda weights: optim.AdamW(weights, lr=0.01),
    "fused": lambda weights: optim.SGD(weights, lr=0.05, momentum=0.9, fused=True),
    "adamax, which moves zeros": lambda weights: optim.Adamax(weights, lr=0.01),
}
RIGL = "sparse 75% 20it lr=0.05 update=rigl(drop=40%, every=4it, until=100%); dense 2it state=reset"
SET = RIGL.replace("rigl", "set")
MAGNITUDE = RIGL.replace("rigl(drop=40%, ", "magnitude(")
STATIC = "sparse 75% 20it lr=0.05; dense 2it state=reset"
METHODS = {"rigl": RIGL, "set": SET, "magnitude": MAGNITUDE}
ALLOTTED = {**METHODS, "erk": RIGL.replace("75%", "75% alloc=erk"), "global": SET.replace("75%", "75% scope=global")}


def begun(text: str, build: str = "sgd", **options: object) -> tuple[Session, nn.Module]:
    model = network()
    return begin(text, model, BUILDS[build](list(model.parameters())), **options), model


def moves(session: Session) -> list[tuple[int, int]]:
    """The mask updates so far, and how many weights each moved."""
    return [(event.update, event.details["moved"]) for event in session.events if event.kind == "move"]


# --- the closed form --------------------------------------------------------------------------------------------------


def closed_form(text: str, updates_per_epoch: int = 10) -> MaskUpdates:
    found = MaskUpdates.of(dsd_lang.compile(text).phases[0], updates_per_epoch)
    assert found is not None
    return found


def test_when_masks_move_and_how_far() -> None:
    rigl = closed_form("sparse 50% 40ep lr=1 update=rigl")
    assert rigl == ("rigl", Fraction(3, 10), 100, Fraction(300))
    assert [step for step in range(400) if rigl.is_due(step)] == [100, 200]
    assert [rigl.count(done) for done in (0, 100, 101, 200, 201, 400)] == [0, 0, 1, 1, 2, 2]
    for step in (1, 100, 200, 299):
        assert float(rigl.share(step)) == pytest.approx(0.15 * (1 + cos(pi * step / 300)), abs=1e-11)


def test_defaults_and_units() -> None:
    assert closed_form("sparse 50% 4ep lr=1 update=set(drop=20%, every=1ep)") == (
        "set",
        Fraction(1, 5),
        10,
        Fraction(40),
    )
    assert closed_form("sparse 50% 4ep lr=1 update=magnitude").end == 40
    assert closed_form("sparse 50% 4ep lr=1 update=magnitude(every=5it, until=50%)")[2:] == (5, Fraction(20))
    for other in ("sparse 50% 4ep lr=1", "sparse 50% 4ep lr=1 update=none"):
        assert MaskUpdates.of(dsd_lang.compile(other).phases[0], 10) is None


def test_a_scaled_plan_moves_masks_as_often() -> None:
    plan = dsd_lang.compile("sparse 50% 1000it lr=1 update=rigl(every=100it); dense 100it")
    scaled = scaled_plan(plan, "0.1")
    found = MaskUpdates.of(scaled.phases[0], 1)
    assert found is not None
    assert (found.every, found.end) == (10, 75)


# --- what an update does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("method", ALLOTTED)
def test_counts_stay_and_nothing_is_off_the_masks(method: str, build: str) -> None:
    session, model = begun(ALLOTTED[method], build)
    before = session.sparsity()
    for number in updates(session, model):
        if not session.masks:
            break
        assert session.sparsity() == before
        assert_masked(session, model, gradients=not (number - 1) or bool((number - 1) % 4))
    assert [update for update, _ in moves(session)][:4] == [4, 8, 12, 16]
    assert method == "magnitude" or sum(moved for _, moved in moves(session)) > 0


def test_one_update_by_hand() -> None:
    """Of 4 weights 2 are kept. Half of them is dropped at update 2 of 4: 1/4 + 1/4 cos(pi/2), rounded half to even."""
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 0.5, -2.0, 0.1]]))
    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
    session = begin("sparse 50% 4it lr=0.5 layers=all update=rigl(drop=100%, every=2it, until=100%)", model, optimizer)
    gradients = [[1.0, 9.0, 0.0, 9.0], [0.0, 9.0, 1.0, 9.0], [0.1, -0.2, 0.3, -7.0], [0.0, 9.0, 9.0, 2.0]]
    found = []
    for gradient in gradients:
        session.begin_step()
        model.weight.grad = torch.tensor([gradient])
        session.step()
        found.append(model.weight.detach()[0].tolist())
    assert found == [
        [2.5, 0.0, -2.0, 0.0],
        [2.25, 0.0, -2.5, 0.0],
        [0.0, 0.0, -2.5, 0.0],  # the mask update: 2.25 is dropped, the last weight grows, nothing else moves
        [0.0, 0.0, -2.5 - 0.5 * (9.0 + 0.5), -1.0],  # its momentum is empty
    ]
    assert session.events[1] == Event("move", 2, "p0", {"moved": 1, "by_weight": {"weight": 1}})


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", ["rigl", "set"])
def test_without_a_drop_it_is_the_static_mask(name: str, build: str) -> None:
    (session, model), (twin, other) = begun(METHODS[name].replace("40%", "0%"), build), begun(STATIC, build)
    run(session, model)
    run(twin, other)
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    assert moves(session) == []


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_a_mask_update_replaces_the_step(name: str) -> None:
    session, model = begun(METHODS[name])
    for number in updates(session, model):
        if number == 4:
            weights = {key: value.detach().clone() for key, value in model.named_parameters()}
            masks = dict(session.masks)
        if number == 5:
            break
    for key, value in model.named_parameters():
        stays = masks[key] & session.masks[key] if key in masks else torch.ones_like(value, dtype=torch.bool)
        assert torch.equal(value[stays], weights[key][stays])
        assert not value[~stays].any()
        buffer = session.optimizer.state[value]["momentum_buffer"]
        assert not buffer[~stays].any()
        assert buffer[stays].any()


def test_magnitude_takes_a_dense_step_and_thresholds() -> None:
    """Iterative hard thresholding: one dense step of SGD, of which the largest weights remain."""
    session, model = begun("sparse 75% 8it lr=0.5 update=magnitude(every=4it)")
    session.optimizer.param_groups[0].update(momentum=0.0, weight_decay=0.0)
    for _ in range(4):
        one_update(session, model)
    weight = model[3].weight.detach().clone()
    alive = int(session.masks["3.weight"].sum())
    one_update(session, model)
    gradient = model[3].weight.grad
    assert gradient is not None
    stepped = weight - 0.5 * gradient
    kept = stepped.abs().flatten().topk(alive).indices
    assert torch.equal(session.masks["3.weight"].flatten().nonzero()[:, 0], kept.sort().values)
    assert torch.allclose(model[3].weight.detach().flatten()[kept], stepped.flatten()[kept])


def useful_weight_found(update: str) -> bool:
    """A regression on one of 40 inputs, whose weight the first mask does not have: whether it is learned."""
    torch.manual_seed(0)
    model = nn.Linear(40, 1, bias=False)
    with torch.no_grad():
        model.weight[0, 17] = 1e-4
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    session = begin(f"sparse 90% 60it lr=0.1 layers=all {update}", model, optimizer)
    inputs = torch.randn(256, 40)
    while not session.done:
        session.begin_step()
        optimizer.zero_grad()
        (model(inputs)[:, 0] - inputs[:, 17]).square().mean().backward()
        session.step()
    return float((model(inputs)[:, 0] - inputs[:, 17]).detach().square().mean()) < 0.01


def test_rigl_finds_the_useful_weight_and_a_static_mask_does_not() -> None:
    assert useful_weight_found("update=rigl(drop=50%, every=5it)")
    assert useful_weight_found("update=magnitude(every=5it)")
    assert not useful_weight_found("")


def test_growth_at_random_depends_on_seed_and_update_alone() -> None:
    def masks(*, seed: int, draws: int) -> list[Tensor]:
        session, model = begun(SET, seed=seed)
        for number in updates(session, model):
            torch.rand(draws)
            if number == 17:
                return list(session.masks.values())
        raise AssertionError

    first = masks(seed=0, draws=0)
    assert all(map(torch.equal, first, masks(seed=0, draws=3)))
    assert not all(map(torch.equal, first, masks(seed=1, draws=0)))


def test_a_pattern_stays_a_pattern() -> None:
    session, model = begun("sparse 2:4 12it lr=1 update=magnitude(every=2it); dense 1it")
    for _ in updates(session, model):
        for mask in session.masks.values():
            assert (mask.reshape(-1, 4).sum(-1) == 2).all()
    assert sum(moved for _, moved in moves(session)) > 0


def test_only_the_weights_of_the_phase_move() -> None:
    """With `others=hold` the masks of other phases stay; `held` moves all."""
    text = 'sparse 50% layers="0" 2it lr=0.1; sparse 50% layers="3" others=hold 4it update=rigl(every=2it); '
    session, model = begun(text + "sparse held 4it update=rigl(every=2it)")
    run(session, model)
    by_weight = [event.details["by_weight"].keys() for event in session.events if event.kind == "move"]
    assert by_weight == [{"3.weight"}, {"0.weight", "3.weight"}]


def test_a_weight_without_gradient_keeps_its_mask() -> None:
    session, model = begun("sparse 50% 6it lr=0.1 update=set(drop=50%, every=2it)")
    before = session.masks["3.weight"].clone()
    while not session.done:
        session.begin_step()
        session.optimizer.zero_grad()
        backward(model, *samples())
        model[3].weight.grad = None
        session.step()
    assert torch.equal(session.masks["3.weight"], before)
    assert sum(moved for _, moved in moves(session)) > 0


def test_values_that_moving_prunes_are_kept_for_restore() -> None:
    session, model = begun("sparse 50% 8it lr=0.1 update=rigl(drop=50%, every=4it); dense 1it restore=saved")
    for _ in range(4):
        one_update(session, model)
    weight, before = model[3].weight.detach().clone(), session.masks["3.weight"].clone()
    for _ in range(4):
        one_update(session, model)
    dropped = before & ~session.masks["3.weight"]
    assert dropped.any()
    session.begin_step()
    assert torch.equal(model[3].weight.detach()[dropped], weight[dropped])


# --- every loop -------------------------------------------------------------------------------------------------------


def by_halves(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *batch)
    session.before_update(clip=1.0)
    session.optimizer.step()
    session.after_update()


def inside_the_closure(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    def closure() -> Tensor:
        session.optimizer.zero_grad()
        loss = backward(model, *batch)
        session.before_update(clip=1.0)
        return loss

    session.begin_step()
    session.optimizer.step(closure)
    session.after_update()


def own_closure(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    def closure() -> Tensor:
        session.optimizer.zero_grad()
        return backward(model, *batch)

    session.begin_step()
    session.step(closure=closure, clip=1.0)


def accumulated(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    for _ in range(2):
        (nn.functional.cross_entropy(model(batch[0]), batch[1]) / 2).backward()
    session.step(clip=1.0)


def scaled(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    session.begin_step()
    session.optimizer.zero_grad()
    scaler.scale(nn.functional.cross_entropy(model(batch[0]), batch[1])).backward()
    assert session.step(scaler=scaler, clip=1.0)


def plain(session: Session, model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *batch)
    session.step(clip=1.0)


LOOPS = [by_halves, inside_the_closure, own_closure, accumulated, scaled]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_every_loop_moves_the_same_masks(loop: Callable[..., None], method: str) -> None:
    for build in BUILDS:
        (session, model), (twin, other) = begun(METHODS[method], build), begun(METHODS[method], build)
        while not session.done:
            batch = samples(16, seed=session.total_updates)
            loop(session, model, batch)
            plain(twin, other, batch)
            assert all(map(torch.equal, model.parameters(), other.parameters())), build
        assert moves(session) == moves(twin)


@pytest.mark.parametrize("method", METHODS)
def test_the_quick_step_moves_the_same_masks(method: str) -> None:
    for build in ("sgd", "adamw"):
        (session, model), (twin, other) = begun(METHODS[method], build, quick_step=True), begun(METHODS[method], build)
        run(session, model)
        run(twin, other)
        assert all(map(torch.equal, model.parameters(), other.parameters()))
        assert moves(session) == moves(twin)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loop", ["step", "halves"])
def test_a_skipped_update_moves_nothing(method: str, loop: str) -> None:
    session, model = begun(METHODS[method])
    for _ in range(4):
        one_update(session, model)
    before = [tensor.clone() for tensor in (*model.parameters(), *session.masks.values())]
    session.begin_step()
    session.optimizer.zero_grad()
    if loop == "step":
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(nn.functional.cross_entropy(model(samples()[0]), samples()[1]) * float("inf")).backward()
        assert not session.step(scaler=scaler)
    else:
        backward(model, *samples())
        session.before_update()
        session.after_update(applied=False)
    assert all(map(torch.equal, before, (*model.parameters(), *session.masks.values())))
    assert session.total_updates == 4
    one_update(session, model)
    assert [update for update, _ in moves(session)] == [4]


def test_lbfgs_moves_masks_and_forgets_its_history() -> None:
    model = network()
    optimizer = optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    session = begin("sparse 50% 6it lr=0.1 update=rigl(every=2it, until=100%)", model, optimizer)
    while not session.done:
        own_closure(session, model, samples())
        if session.total_updates == 3:
            assert not optimizer.state
    assert len(moves(session)) == 2


def test_an_infinite_gradient_is_named_and_moves_nothing() -> None:
    session, model = begun(RIGL)
    for _ in range(4):
        one_update(session, model)
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *samples())
    assert model[3].weight.grad is not None
    model[3].weight.grad[0, 0] = float("nan")
    before = session.boundary.store.hash()
    with pytest.raises(DsdError, match=r"1 gradients of `3.weight` are not finite at update 4"):
        session.step()
    assert session.boundary.store.hash() == before


def test_a_captured_update_refuses_it() -> None:
    session, _ = begun(RIGL)
    with pytest.raises(DsdError, match="has `update=`, which a captured update does not do"):
        CapturedMasks(session).follow()


def test_a_phase_that_is_too_short_says_so() -> None:
    with pytest.warns(
        DsdWarning, match="`update=rigl` moves no mask: `every=` is 100 updates, and the masks are fixed"
    ):
        begun("sparse 50% 60it lr=0.1 update=rigl")


# --- several processes, saved events ----------------------------------------------------------------------------------


SHORT = {name: text.replace("20it", "6it").replace("every=4it", "every=2it") for name, text in METHODS.items()}


def _two_ranks(rank: int) -> dict[str, Any]:
    """Under DDP on the same batches, and on halves of one batch."""
    found: dict[str, Any] = {}
    for name, text in SHORT.items():
        for data in ("same", "halves") if name == "rigl" else ("same",):
            model = DistributedDataParallel(network())
            session = begin(text, model, BUILDS["sgd"](list(model.parameters())))
            while not session.done:
                features, labels = samples(16, seed=session.total_updates)
                own = slice(None) if data == "same" else slice(8 * rank, 8 * rank + 8)
                one_update(session, model, (features[own], labels[own]))
            found[f"{name} {data}"] = [weight.detach() for weight in model.parameters()], moves(session)
    return found


def test_two_ranks_move_the_masks_of_one_process(tmp_path: Path) -> None:
    first, second = in_ranks(2, _two_ranks, tmp_path)
    for key, (weights, moved) in first.items():
        others, moved_there = second[key]
        assert all(map(torch.equal, weights, others))
        assert moved == moved_there
    for name, text in SHORT.items():
        session, model = begun(text)
        while not session.done:
            one_update(session, model, samples(16, seed=session.total_updates))
        weights, moved = first[f"{name} same"]
        assert all(map(torch.equal, weights, model.parameters()))
        assert moved == moves(session)


def test_mask_updates_stay_in_the_events_of_a_saved_session() -> None:
    events: list[Event] = []
    for update in range(10, 60, 10):
        record_event(events, Event("select", update, "p0", {"sizes": {}}))
        record_event(events, Event("move", update, "p0", {"moved": update, "by_weight": {"w": update}}))
    record_event(events, Event("move", 60, "p0", {"moved": 6, "by_weight": {"w": 6}}))
    record_event(events, Event("move", 70, "p1", {"moved": 7, "by_weight": {"w": 7}}))
    record_event(events, Event("move", 80, "p1", {"moved": 8, "by_weight": {"w": 8}}))
    assert unpacked(packed(events)) == events
    assert [event.details for event in events if event.kind == "move"] == [
        *({"moved": update} for update in range(10, 60, 10)),
        {"moved": 6, "by_weight": {"w": 6}}, {"moved": 7}, {"moved": 8, "by_weight": {"w": 8}},
    ]  # fmt: skip
    alone = [Event("move", update, "p0", {"moved": 1}) for update in range(100, 1000, 100)]
    assert len(packed(alone)) == 1
    assert unpacked(packed(alone)) == alone
