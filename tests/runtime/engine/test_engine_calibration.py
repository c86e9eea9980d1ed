"""`calibrate=`: statistics against the mean over batches, no other change, and a warning where it was forgotten."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import dsd_lang
import dsd_runtime

TEXT = "dense 2it lr=0.1 calibrate=3it"


def begin(text: str = TEXT) -> tuple[dsd_runtime.Session, nn.Sequential]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return dsd_runtime.attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=4), model


def test_the_statistics_are_the_mean_over_that_many_batches() -> None:
    session, model = begin()
    batches = [torch.randn(8, 3) for _ in range(5)]
    weights = {name: value.clone() for name, value in model.named_parameters()}
    model[2].eval()  # the user's own mode
    before = torch.get_rng_state()
    session.calibrate(batches)
    with torch.no_grad():
        hidden = [model[0](batch) for batch in batches[:3]]
    torch.testing.assert_close(model[1].running_mean, torch.stack([one.mean(0) for one in hidden]).mean(0))
    torch.testing.assert_close(model[1].running_var, torch.stack([one.var(0) for one in hidden]).mean(0))
    assert torch.equal(before, torch.get_rng_state())
    assert (model.training, model[1].training, model[2].training, model[1].momentum) == (True, True, False, 0.1)
    assert all(torch.equal(weights[name], value) for name, value in model.named_parameters())


def test_without_calibrate_nothing_changes() -> None:
    session, model = begin("dense 2it lr=0.1")
    session.calibrate([torch.randn(8, 3)])
    assert torch.equal(model[1].running_mean, torch.zeros(4))


def test_a_report_without_it_is_told_once() -> None:
    session, model = begin()
    model(torch.randn(8, 3)).sum().backward()
    session.step()
    with pytest.warns(UserWarning, match=r"phase `p0` has `calibrate=`, and metrics were reported without"):
        session.report({"val.loss": 1.0})
    session.report({"val.loss": 1.0})
    assert len([event for event in session.events if event.kind == "warning"]) == 1
    calibrated, _ = begin()
    calibrated.calibrate([torch.randn(8, 3)] * 3)
    calibrated.report({"val.loss": 1.0})
