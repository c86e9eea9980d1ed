"""The session of a trainer in several processes that does not show its wrapped model: what one process computes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from several_ranks import in_ranks
from trainer_loops import ACCUMULATION, CLIP, SPARSE, UPDATES, adamw, network, samples
from trainer_ranks import RANKS, Rank, assert_equal, kept, one_process, padded

from dsd_runtime.engine.generators import generator_states
from dsd_runtime.integrations.process_generators import generators_of_all, set_own_generators
from dsd_runtime.integrations.trainer_session import ScheduleOptions, TrainerSession

ORDER = padded(len(samples()[0]))
ROWS = [ORDER[rank::RANKS] for rank in range(RANKS)]
SAVED_AFTER = 2 * UPDATES - 1


class Averaging:
    """A trainer that averages the gradients of its processes itself."""

    def __init__(self, saved: dict[str, Any] | None = None) -> None:
        self.model = network()
        self.optimizer = adamw(self.model)
        self.driven = TrainerSession(SPARSE, ScheduleOptions(0, None, "val.loss", (), None, None, None))
        if saved is not None:
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.driven.load_state_dict(saved["schedule"])
        self.driven.start(
            self.model, self.optimizer, steps_per_epoch=UPDATES, planned=lambda needed, _: (needed, ""),
            is_resuming=saved is not None, process_group=dist.group.WORLD,
        )  # fmt: skip

    def update(self, own: Rank, batches: int) -> None:
        self.driven.begin()
        gradients = own.gradients(self.model, batches, ACCUMULATION)
        for weight, gradient in zip(self.model.parameters(), gradients, strict=True):
            dist.all_reduce(gradient)
            weight.grad = gradient
        self.driven.before(clip=CLIP)
        self.optimizer.step()
        self.driven.after(applied=True)

    def saved(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.driven}
        return copy.deepcopy({name: part.state_dict() for name, part in parts.items()})


def _trained(rank: int) -> dict[str, Any]:
    own, trainer = Rank(rank, ROWS[rank], has_own_generator=False), Averaging()
    for number in range(3 * UPDATES):
        if number % UPDATES == 0:
            own.start_pass()
        if number == SAVED_AFTER:
            assert trainer.driven.session.phase.mode == "sparse"
            trainer = Averaging(trainer.saved())
        trainer.update(own, 1 if number % UPDATES == UPDATES - 1 else ACCUMULATION)
    assert trainer.driven.is_over
    states = generators_of_all(trainer.driven.processes)
    drawn = torch.rand(3)
    set_own_generators(states)
    assert torch.equal(torch.rand(3), drawn)
    return {"kept": kept(trainer.model, trainer.driven.session.masks), "drawn": drawn}


def test_a_process_resumes_with_its_own_generators_and_a_new_one_keeps_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states, drawn = [], []
    for seed in (3, 4):
        torch.manual_seed(seed)
        states.append(generator_states())
        drawn.append(torch.rand(3))
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    for rank, expected in ((1, drawn[1]), (0, drawn[0])):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        set_own_generators(states)
        assert torch.equal(torch.rand(3), expected)
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    torch.manual_seed(9)
    own = torch.rand(3)
    torch.manual_seed(9)
    set_own_generators(states)
    assert torch.equal(torch.rand(3), own)


@pytest.mark.slow
def test_two_processes_are_equal_to_one_and_keep_generators_of_their_own(tmp_path: Path) -> None:
    found = in_ranks(RANKS, _trained, tmp_path)
    expected = one_process(ROWS, last_accumulation=ACCUMULATION, has_own_generator=False)
    assert_equal([own["kept"] for own in found], expected)
    assert not torch.equal(found[0]["drawn"], found[1]["drawn"])
