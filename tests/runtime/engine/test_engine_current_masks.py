"""`sparse held masks=current`: the zeros that the weights have when the phase is entered are the masks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from engine_loops import assert_masked, begin, network, one_update, run
from safetensors.torch import save_file
from torch import Tensor, nn, optim

import dsd_lang
from dsd_lang import DsdError
from dsd_runtime import Session, attach

TUNING = "sparse held masks=current 4it lr=0.05; dense 2it"
MATRICES = ("0.weight", "3.weight", "5.weight")


def pruned_network(share: float = 0.6) -> tuple[nn.Sequential, dict[str, Tensor]]:
    """A network whose smallest weights are 0, as another tool leaves it, and where they are not."""
    model = network()
    with torch.no_grad():
        for name in MATRICES:
            weight = model.get_parameter(name)
            weight[weight.abs() < weight.abs().flatten().kthvalue(int(share * weight.numel())).values] = 0
    return model, {name: model.get_parameter(name).detach() != 0 for name in MATRICES}


@pytest.mark.parametrize("build", [lambda w: optim.SGD(w, lr=0.1, momentum=0.9), lambda w: optim.AdamW(w, lr=0.1)])
def test_the_zeros_stay_and_everything_else_is_trained(build: object) -> None:
    model, alive = pruned_network()
    session = begin(TUNING, model, build(model.parameters()))  # type: ignore[operator]
    before = {name: model.get_parameter(name).detach().clone() for name in MATRICES}
    while session.phase.mode == "sparse" and not session.is_phase_over:
        one_update(session, model)
        assert all(torch.equal(session.masks[name], mask) for name, mask in alive.items())
        assert_masked(session, model)
    assert all(bool((model.get_parameter(n).detach() != before[n])[alive[n]].any()) for n in MATRICES)
    run(session, model)
    assert all(bool((model.get_parameter(name).detach() != 0)[~mask].any()) for name, mask in alive.items())


def test_a_weight_that_becomes_zero_later_stays_unpruned() -> None:
    model, alive = pruned_network()
    session = begin(TUNING, model, optim.SGD(model.parameters(), lr=0.1))
    first = tuple(int(index) for index in alive["0.weight"].nonzero()[0])
    with torch.no_grad():
        model.get_parameter("0.weight")[first] = 0
    one_update(session, model)
    assert session.masks["0.weight"][first]
    assert float(model.get_parameter("0.weight")[first].detach()) != 0


def test_minus_zero_is_a_zero_and_a_matrix_may_be_empty() -> None:
    model, _ = pruned_network()
    with torch.no_grad():
        model.get_parameter("3.weight").fill_(-0.0)
    session = begin(TUNING, model, optim.SGD(model.parameters(), lr=0.1))
    assert not session.masks["3.weight"].any()
    one_update(session, model)
    assert_masked(session, model)


def test_selectors_and_masks_of_other_layers() -> None:
    text = 'sparse 50% layers="0" 1it lr=0.1; sparse held masks=current layers="3" others=hold 2it; dense'
    model, alive = pruned_network()
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    for _ in range(2):
        one_update(session, model)
    assert set(session.masks) == {"0.weight", "3.weight"}
    assert session.sparsity()["0.weight"] == 0.5
    assert torch.equal(session.masks["3.weight"], alive["3.weight"] | (model.get_parameter("3.weight") != 0))


def test_the_zeros_of_a_file_are_the_masks_of_a_phase_that_starts_from_it(tmp_path: Path) -> None:
    pruned, alive = pruned_network()
    path = tmp_path / "pruned.safetensors"
    save_file(pruned.state_dict(), path)
    model = network(seed=3)
    text = f'dense 2it lr=0.1; sparse held masks=current from="{path}" 3it; dense 1it'
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    for _ in range(3):
        one_update(session, model)
    assert all(torch.equal(session.masks[name], mask) for name, mask in alive.items())
    assert_masked(session, model)


def test_without_any_zero_it_is_refused_and_the_phase_before_stays() -> None:
    model = network()
    with pytest.raises(DsdError, match=r"`masks=current`, and none of the 512 selected weights is 0"):
        begin(TUNING, model, optim.SGD(model.parameters(), lr=0.1))
    session = begin("dense 1it lr=0.1; sparse held masks=current 2it", model, optim.SGD(model.parameters(), lr=0.1))
    one_update(session, model)
    with pytest.raises(DsdError, match="none of the 512"):
        session.begin_step()
    assert session.phase.mode == "dense"


@pytest.mark.parametrize("at", [1, 3])
def test_resumed_the_masks_are_the_stored_ones(at: int) -> None:
    """And not those of the zeros at the moment of the resume."""

    def attached(model: nn.Module) -> Session:
        return attach(dsd_lang.compile(TUNING), model, optim.AdamW(model.parameters(), lr=0.1), steps_per_epoch=4)

    whole, _ = pruned_network()
    run(attached(whole), whole)
    model, alive = pruned_network()
    session = attached(model)
    for _ in range(at):
        one_update(session, model)
    saved = {name: value.clone() for name, value in model.state_dict().items()}, session.state_dict()
    again, _ = pruned_network(0.3)
    again.load_state_dict(saved[0])
    resumed = attached(again)
    resumed.load_state_dict(saved[1])
    assert all(torch.equal(resumed.masks[name], mask) for name, mask in alive.items())
    run(resumed, again)
    assert all(map(torch.equal, whole.parameters(), again.parameters()))
