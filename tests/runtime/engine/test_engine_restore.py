"""What a re-dense puts back, and what it leaves alone: survivors, unmasked tensors, values of an earlier pruning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_loops import assert_masked, begin, network, one_update
from safetensors.torch import save_file
from torch import Tensor, nn, optim

from dsd_runtime import Session


def _until_entered(session: Session, model: nn.Module, index: int) -> None:
    while session.phase.index < index:
        one_update(session, model)
        session.begin_step()


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("restore", ["", "restore=saved", "restore=init", "restore=random", "restore=@a.end"])
def test_survivors_and_what_was_never_masked_stay_bit_by_bit(restore: str) -> None:
    model = network()
    text = f"a: dense 2it lr=0.1; sparse 50% layers=/3/ 2it; dense 1it {restore}"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    _until_entered(session, model, 1)
    while session.total_updates < 4:
        one_update(session, model)
    before, masks = _copy(model), {name: mask.clone() for name, mask in session.masks.items()}
    assert list(masks) == ["3.weight"]
    session.begin_step()
    after = _copy(model)
    for name, value in before.items():
        survives = masks.get(name, torch.ones_like(value, dtype=torch.bool))
        assert torch.equal(after[name][survives], value[survives]), name
    revived = after["3.weight"][~masks["3.weight"]]
    assert bool(revived.any()) == bool(restore)


def test_saved_values_are_those_of_the_last_pruning() -> None:
    """Pruned, revived, trained on, pruned again: the first time's values are of no more use."""
    model = network()
    text = "dense 2it lr=0.1; sparse 50% 1it; dense 3it restore=saved; sparse 70% 1it; dense 1it restore=saved"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.3))
    while session.total_updates < 6:
        one_update(session, model)
    at_second = _copy(model)
    one_update(session, model)
    masks = dict(session.masks)
    session.begin_step()
    assert masks
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name)[~mask], at_second[name][~mask])


def test_a_weight_pruned_in_two_steps_comes_back_as_it_was_at_its_own() -> None:
    model = network()
    text = "dense 1it lr=0.1; sparse 30% 2it; sparse 30% of=remaining 2it; dense 1it restore=saved"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.3))
    values: list[dict[str, Tensor]] = []
    masks: list[dict[str, Tensor]] = []
    while session.total_updates < 5:
        if session.total_updates in (1, 3):
            values.append(_copy(model))
        one_update(session, model)
        if session.total_updates in (2, 4):
            masks.append({name: mask.clone() for name, mask in session.masks.items()})
    session.begin_step()
    for name in masks[0]:
        first, second = ~masks[0][name], masks[0][name] & ~masks[1][name]
        assert bool(second.any())
        restored = model.get_parameter(name)
        assert torch.equal(restored[first], values[0][name][first])
        assert torch.equal(restored[second], values[1][name][second])


def _numbers_in(state: Any) -> int:
    if isinstance(state, Tensor):
        return state.numel()
    if isinstance(state, dict):
        return sum(_numbers_in(value) for value in state.values())
    return sum(_numbers_in(value) for value in state) if isinstance(state, list | tuple) else 0


def test_saved_values_take_no_room_once_they_are_back() -> None:
    """A dense phase has nothing saved: its state is as large as that of a schedule that never asked for it."""
    sizes = []
    for restore in ("saved", "zero"):
        model = network()
        text = f"dense 1it lr=0.1; sparse 50% 1it; dense 3it restore={restore}; sparse 50% 1it; dense 1it"
        session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
        while session.total_updates < 4:
            one_update(session, model)
        sizes.append(_numbers_in(session.state_dict()))
    assert sizes[0] == sizes[1]


def test_what_replaces_all_weights_and_what_only_revives() -> None:
    """`from=` on a dense phase replaces everything; with `restore=` the revived ones come from there instead."""
    ends = {}
    for said in ("from=@a.end", "from=@a.end restore=init"):
        model = network()
        first = _copy(model)
        text = f"a: dense 2it lr=0.1; sparse 50% 2it; dense 1it {said}"
        session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
        while session.total_updates < 2:
            one_update(session, model)
        at_end = _copy(model)
        while session.total_updates < 4:
            one_update(session, model)
        masks = {name: mask.clone() for name, mask in session.masks.items()}
        session.begin_step()
        ends[said] = _copy(model)
        for name, mask in masks.items():
            assert torch.equal(ends[said][name][mask], at_end[name][mask])
            source = first if "restore" in said else at_end
            assert torch.equal(ends[said][name][~mask], source[name][~mask]), said


def test_buffers_come_with_the_weights() -> None:
    """`from=` a moment or a file brings batch-norm statistics along; `restore=` touches no buffer."""
    torch.manual_seed(0)

    def build() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 4))

    model = build()
    session = begin("a: dense 3it lr=0.1; sparse 50% from=@a.1it 1it; dense 1it restore=@a.1it", model,
                    optim.SGD(model.parameters(), lr=0.1))  # fmt: skip
    one_update(session, model)
    at_one = model[0].running_mean.clone()
    one_update(session, model)
    one_update(session, model)
    session.begin_step()
    assert torch.equal(model[0].running_mean, at_one)
    assert int(model[0].num_batches_tracked) == 1
    one_update(session, model)
    statistics = model[0].running_mean.clone()
    session.begin_step()
    assert session.phase.mode == "dense"
    assert torch.equal(model[0].running_mean, statistics)


def test_a_file_brings_its_buffers(tmp_path: Path) -> None:
    other = nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 4))
    other[0].running_mean.fill_(3.0)
    save_file({name: value.clone() for name, value in other.state_dict().items()}, tmp_path / "w.safetensors")
    model = nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 4))
    begin(f'dense 1it lr=0.1 from="{tmp_path}/w.safetensors"', model, optim.SGD(model.parameters(), lr=0.1))
    assert torch.equal(model[0].running_mean, other[0].running_mean)
    assert torch.equal(model[1].weight, other[1].weight)


def test_every_random_draw_is_another() -> None:
    """Two phases that start at random, or restore at random, do not draw the same weights."""
    for text in (
        "dense 1it lr=0.1 from=random; dense 1it from=random",
        "dense 1it lr=0.1; sparse 90% 1it; dense 1it restore=random; sparse 90% 1it; dense 1it restore=random",
    ):
        model = network()
        session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
        drawn, masked = [], []
        for phase in range(len(session.plan.phases)):
            if "random" in (session.stage.phase.from_.kind, session.stage.phase.restore.kind):
                drawn.append(_copy(model)["3.weight"])
            one_update(session, model)
            masked += [~session.masks["3.weight"]] if session.masks else []
            if phase + 1 < len(session.plan.phases):
                session.begin_step()
        first, second = drawn
        both = masked[0] & masked[1] if masked else torch.ones_like(first, dtype=torch.bool)
        assert int(both.sum()) > 100
        assert not bool((first == second)[both].any())


# --- optimizer state --------------------------------------------------------------------------------------------------


class _Remembering(optim.Optimizer):
    """Keeps its last two gradients in a list, as optimizers with a history do, and steps along their sum."""

    def __init__(self, parameters: Any, lr: float = 0.1) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                past = self.state[weight].setdefault("past", [torch.zeros_like(weight), torch.zeros_like(weight)])
                past[0].copy_(past[1])
                past[1].copy_(weight.grad)
                weight.add_(past[0] + past[1], alpha=-group["lr"])


@pytest.mark.parametrize("state", ["zero", "keep"])
def test_optimizer_state_in_lists_is_masked(state: str) -> None:
    model = network()
    session = begin(
        f"dense 3it lr=0.1; sparse 50% 3it state={state}; dense 2it", model, _Remembering(model.parameters())
    )
    while session.total_updates < 6:
        one_update(session, model)
        for name, mask in session.masks.items():
            for value in session.optimizer.state[model.get_parameter(name)]["past"]:
                assert not bool(value[~mask].any()), (name, session.total_updates)
        if session.masks:
            assert_masked(session, model)


def _shared() -> nn.ModuleDict:
    torch.manual_seed(0)
    model = nn.ModuleDict({"a": nn.Linear(6, 6, bias=False), "b": nn.Linear(6, 6, bias=False)})
    model["b"].weight.data = model["a"].weight.data
    return model


def _shared_update(session: Session, model: nn.ModuleDict) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    features = torch.linspace(-1, 1, 30).reshape(5, 6)
    (model["b"](torch.tanh(model["a"](features))) - 1).square().mean().backward()
    session.step()


@pytest.mark.parametrize("state", ["zero", "keep", "reset"])
@pytest.mark.parametrize("build", [optim.AdamW, optim.Adamax])
def test_both_views_of_a_memory_have_their_gradients_and_state_masked(build: type, state: str) -> None:
    """Two parameters on one storage: the mask is one, what each of them accumulates is not."""
    model = _shared()
    optimizer = build(model.parameters(), lr=0.01)
    session = begin(f"dense 2it lr=0.01; sparse 50% 3it state={state}; dense 1it state={state}", model, optimizer)
    while session.total_updates < 5:
        _shared_update(session, model)
        for mask in session.masks.values():
            for view in (model["a"].weight, model["b"].weight):
                assert not bool(view[~mask].any())
                assert not bool(view.grad[~mask].any())
                for value in optimizer.state[view].values():
                    if value.shape == view.shape:
                        assert not bool(value[~mask].any())
    masks = dict(session.masks)
    session.begin_step()
    for mask in masks.values():
        for view in (model["a"].weight, model["b"].weight):
            assert (view in optimizer.state and bool(optimizer.state[view])) == (state != "reset")
            assert not bool(view[~mask].any())


@pytest.mark.parametrize("selection", ["", 'layers="a"', 'layers="b"', "layers=all", 'layers="a","b"'])
def test_two_views_of_a_memory_are_selected_and_counted_once(selection: str) -> None:
    model = _shared()
    text = f"dense 1it lr=0.1; sparse 50% {selection} 1it; sparse 50% of=remaining {selection} 1it"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    for sparsity, alive in ((0.0, 36), (0.5, 18), (0.75, 9)):
        _shared_update(session, model)
        assert session.sparsity() == {"a.weight": sparsity, "total": sparsity}
        assert int(torch.count_nonzero(model["b"].weight)) == alive
