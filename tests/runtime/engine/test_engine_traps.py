"""Mistakes in a loop that used to run on without a word."""

from __future__ import annotations

import gc
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_loops import backward, begin, network, one_update, run, samples, shuffled_loader
from torch import nn, optim

import dsd_runtime
from dsd_lang.base.errors import DsdError
from dsd_runtime import Session


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def _begun(text: str = "dense 8it lr=0.1", **options: Any) -> tuple[Session, nn.Sequential, optim.Optimizer]:
    model = network()
    optimizer = _sgd(model)
    return begin(text, model, optimizer, **options), model, optimizer


# --- optimizer.step() in place of session.step() ----------------------------------------------------------------------


def test_a_foreign_step_within_an_update_is_refused_at_once() -> None:
    session, model, optimizer = _begun()
    before = model[0].weight.detach().clone()
    for features, labels in session.batches(shuffled_loader()):
        backward(model, features, labels)
        with pytest.raises(DsdError, match=r"`optimizer\.step\(\)` was called") as caught:
            optimizer.step()
        assert "session.step()" in str(caught.value.help)
        break
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize(("rates", "is_refused"), [((0.0, 0.0), False), ((0.0, 1.0), True), ((1.0, 1.0), True)])
def test_a_foreign_step_at_a_rate_of_zero_changes_nothing(rates: tuple[float, float], is_refused: bool) -> None:
    """As `torch.distributed.checkpoint` takes one to create the optimizer's state."""
    model = network()
    optimizer = _two_groups(model, (0.5, 0.05))
    session = begin("dense 2it lr=0.5", model, optimizer)
    session.begin_step()
    backward(model, *samples())
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    with pytest.raises(DsdError, match="a session drives") if is_refused else nullcontext():
        optimizer.step()


@pytest.mark.parametrize("ask", ["done", "report", "epochs"])
def test_a_loop_without_the_session_is_told_at_the_next_question(ask: str) -> None:
    session, model, optimizer = _begun()
    backward(model, *samples())
    optimizer.step()
    asked = {
        "done": lambda: session.done,
        "report": lambda: session.report({"val.loss": 1.0}),
        "epochs": lambda: next(session.epochs()),
    }
    with pytest.raises(DsdError, match=r"`optimizer\.step\(\)` was called"):
        asked[ask]()


def test_a_phase_s_own_optimizer_is_guarded_too() -> None:
    session, model, optimizer = _begun("dense 4it lr=0.1 opt=adamw; dense 2it")
    session.begin_step()
    backward(model, *samples())
    for one in (session.optimizer, optimizer):
        with pytest.raises(DsdError, match="was called on an optimizer that a session drives"):
            one.step()
    session.step()
    run(session, model)


def test_the_optimizer_is_free_before_after_and_without_the_session() -> None:
    model = network()
    optimizer = _sgd(model)
    backward(model, *samples())
    optimizer.step()
    session = begin("dense 2it lr=0.1", model, optimizer)
    run(session, model)
    optimizer.step()
    assert session.done
    abandoned = begin("dense 5it lr=0.1", model, optimizer)
    one_update(abandoned, model)
    abandoned.begin_step()
    del abandoned
    gc.collect()
    optimizer.step()
    first = begin("dense 5it lr=0.1", model, optimizer)
    first.begin_step()
    second = begin("dense 5it lr=0.1", model, optimizer)
    run(second, model)
    assert second.total_updates == 5


def test_the_guard_costs_no_masking() -> None:
    """An optimizer with hooks of its own is masked in full after every step; the guard is none of those."""
    from dsd_runtime.masks import preserves_zero

    _, _, optimizer = _begun("sparse 50% 4it lr=0.1")
    assert preserves_zero(optimizer)
    optimizer.register_step_post_hook(lambda *items: None)
    assert not preserves_zero(optimizer)


# --- gradients --------------------------------------------------------------------------------------------------------


def test_a_second_step_on_one_backward_is_refused() -> None:
    session, model, optimizer = _begun()
    for features, labels in session.batches(shuffled_loader()):
        optimizer.zero_grad()
        backward(model, features, labels)
        session.step()
        with pytest.raises(DsdError, match="called again without new gradients"):
            session.step()
        optimizer.zero_grad()
        with pytest.raises(DsdError, match="called again without new gradients"):
            session.step()
        backward(model, features, labels)
        session.step()
        assert session.total_updates == 2
        break


def test_accumulated_gradients_are_new_ones() -> None:
    session, model, optimizer = _begun()
    one_update(session, model)
    optimizer.zero_grad(set_to_none=False)
    backward(model, *samples())
    session.step()
    assert session.total_updates == 2


def test_a_step_without_any_gradient_is_told_once() -> None:
    session, _, _ = _begun()
    session.begin_step()
    with pytest.warns(UserWarning, match=r"no weight has a gradient") as caught:
        session.step()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.begin_step()
        session.step()


@pytest.mark.parametrize("name", ["beside.py", "dsd_runtime_of_mine/loop.py"])
def test_a_warning_points_at_the_code_that_called_wherever_it_is_installed(name: str) -> None:
    session, _, _ = _begun()
    session.begin_step()
    own = Path(dsd_runtime.__file__).parents[1] / name
    with pytest.warns(UserWarning, match=r"no weight has a gradient") as caught:
        exec(compile("session.step()", str(own), "exec"), {"session": session})
    assert caught[0].filename == str(own)


# --- gradient scalers -------------------------------------------------------------------------------------------------


def _scaled_update(session: Session, model: nn.Module, scaler: torch.amp.GradScaler, factor: float = 1.0) -> bool:
    session.begin_step()
    session.optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(samples()[0]), samples()[1]) * factor
    scaler.scale(loss).backward()
    return session.step(scaler=scaler)


def test_a_scale_that_has_fallen_to_zero_is_an_error() -> None:
    """It used to look as if every skipped update had been applied."""
    session, model, _ = _begun("dense 500it lr=0.1")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**-120)
    while scaler.get_scale() >= torch.finfo(torch.float32).tiny:
        assert not _scaled_update(session, model, scaler, factor=float("inf"))
    for _ in range(2):
        with pytest.raises(DsdError, match="scale has fallen to"):
            _scaled_update(session, model, scaler, factor=float("inf"))
    assert session.total_updates == 0


def test_a_scaler_without_gradients_is_one_sentence() -> None:
    session, _, _ = _begun()
    session.begin_step()
    with pytest.raises(DsdError, match="nothing to unscale"):
        session.step(scaler=torch.amp.GradScaler("cpu"))


# --- rates ------------------------------------------------------------------------------------------------------------


def _two_groups(model: nn.Sequential, rates: tuple[float, float]) -> optim.Optimizer:
    parts = [{"params": model[0].parameters(), "lr": rates[0]}, {"params": model[3].parameters(), "lr": rates[1]}]
    return optim.SGD(parts, lr=0.1)


def test_groups_that_a_warm_up_has_set_to_zero_keep_their_ratios() -> None:
    model = network()
    optimizer = _two_groups(model, (0.1, 0.01))
    optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.0]
    begin("dense 2it lr=0.5", model, optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


def test_groups_whose_ratios_are_lost_are_refused() -> None:
    model = network()
    with pytest.raises(DsdError, match="all 2 parameter groups have the learning rate 0"):
        begin("dense 2it lr=0.5", model, _two_groups(model, (0.0, 0.0)))
    frozen = _two_groups(model, (0.0, 0.2))
    begin("dense 2it lr=0.5", model, frozen)
    assert [group["lr"] for group in frozen.param_groups] == [0.0, 0.5]
    single = optim.SGD(model.parameters(), lr=0.0)
    begin("dense 2it lr=0.5", model, single)
    assert single.param_groups[0]["lr"] == 0.5


# --- reports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.tensor(0.5), torch.tensor([0.5]), np.float32(0.5), np.array(0.5), True, 1])
def test_one_number_in_any_dress_is_a_number(value: Any) -> None:
    session, model, _ = _begun("dense 8it lr=0.1 until val.loss < 2; dense 1it")
    one_update(session, model)
    session.report({"val.loss": value})
    assert session.is_phase_over


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"val.loss": "0.3"}, "the metric `val.loss` must be a number, not `'0.3'`"),
        ({"val.loss": torch.zeros(3)}, r"must be a number, not a Tensor of shape \(3,\)"),
        ({"val.loss": None}, "must be a number, not a `NoneType`"),
        ({"val.loss": torch.tensor(1j)}, "must be a number"),
        ({3: 0.1}, "the name of a metric must be a string, not `3`"),
        (0.3, "metrics are reported by name, not as `0.3`"),
    ],
)
def test_what_is_no_number_is_one_sentence(metrics: Any, message: str) -> None:
    session, model, _ = _begun("dense 8it lr=0.1 until val.loss < 2")
    one_update(session, model)
    with pytest.raises(DsdError, match=message):
        session.report(metrics)


def test_a_nan_that_would_decide_is_told_once() -> None:
    session, model, _ = _begun("dense 8it lr=0.1 until val.loss < 0.1")
    one_update(session, model)
    with pytest.warns(UserWarning, match=r"`val\.loss` was reported as nan"):
        session.report({"val.loss": float("nan"), "val.bleu1": float("nan")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.report({"val.loss": float("nan")})


def test_nans_that_would_decide_are_told_in_the_order_of_their_names() -> None:
    names = ("test.loss", "val.cer", "val.err", "val.loss", "val.top5_err", "val.wer")
    condition = " and ".join(f"{name} < 1" for name in reversed(names))
    session, model, _ = _begun(f"dense 8it lr=0.1 until {condition}")
    one_update(session, model)
    with pytest.warns(UserWarning, match="was reported as nan") as caught:
        session.report(dict.fromkeys(names, float("nan")))
    assert [str(warning.message).split("`")[1] for warning in caught] == list(names)


def test_until_without_a_report_is_told_after_two_epochs() -> None:
    session, model, _ = _begun("long: dense 5ep lr=0.1 until plateau(val.err); dense 1ep", steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            one_update(session, model)
    with pytest.warns(UserWarning, match=r"phase `long` ends by `until` on `val\.err`, which has not been reported"):
        one_update(session, model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(session, model)
    assert [event.kind for event in session.events].count("warning") == 1


def test_another_metric_than_the_one_that_decides_is_told_too() -> None:
    session, model, _ = _begun("dense 2it lr=0.1 until val.err < 1; dense 1it")
    for _ in range(2):
        one_update(session, model)
        session.report({"val.loss": 0.3})
    with pytest.warns(UserWarning, match=r"`val\.err`, which has not been reported"):
        session.begin_step()
