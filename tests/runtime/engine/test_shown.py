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
