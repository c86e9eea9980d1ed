"""A session says in a line where it stands, and shows its plan with how far each phase is."""

from __future__ import annotations

import torch
from torch import nn

import dsd_lang
import dsd_runtime


def test_a_session_from_its_first_update_to_its_last() -> None:
    model = nn.Linear(4, 4)
    plan = dsd_lang.compile("dense 2it lr=0.1\ns: sparse 50% layers=all 3it lr=0.05\n")
    session = dsd_runtime.attach(plan, model, torch.optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=10)
    seen = [repr(session)]
    shown = [session._repr_html_()]
    while not session.done:
        session.begin_step()
        model(torch.ones(1, 4)).sum().backward()
        session.step()
        seen.append(repr(session))
        shown.append(session._repr_html_())
    assert seen[0].startswith("<Session: phase 1 of 2 (dense), update 0 of 2, 0% of the schedule, lr 0.1")
    assert (
        seen[3] == "<Session: phase 2 of 2 `s` (sparse 50%), update 1 of 3, 60% of the schedule, lr 0.05, 0.5 pruned>"
    )
    assert seen[-1] == "<Session: phase 2 of 2 `s` (sparse 50%), done, 100% of the schedule, lr 0.05, 0.5 pruned>"
    assert "0 of 2 updates" in shown[0]
    assert "to come" in shown[0]
    assert "done" in shown[3]
    assert "1 of 3 updates" in shown[3]
    assert "to come" not in shown[-1]


def test_a_session_before_its_first_phase_and_after_an_empty_one() -> None:
    def begun(text: str, **options: bool) -> dsd_runtime.Session:
        model = nn.Linear(4, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return dsd_runtime.attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=10, **options)

    assert repr(begun("dense 2it lr=0.1", enters_by_itself=False)) == "<Session: before the first of 1 phase>"
    outside = begun("dense 2it lr=0.1; dense", enters_by_itself=False)
    assert repr(outside) == "<Session: before the first of 2 phases>"
    assert outside._repr_html_().count("to come") == 2
    empty = begun("sparse 50% layers=all 0it lr=0.1")
    assert repr(empty).startswith("<Session: phase 1 of 1 (sparse 50%), done, ")
    assert "to come" not in empty._repr_html_()
