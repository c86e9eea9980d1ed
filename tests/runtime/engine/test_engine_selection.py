"""Which weights go, through the session: rows 12 to 15 of the engine's table, targets of every form."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch
from engine_loops import begin, network, one_update, run
from torch import nn, optim

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact


def _sgd(model: nn.Module, rate: float = 0.1) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=rate)


TARGETS = ["0%", "0.1%", "10%", "25%", "50%", "62.5%", "90%", "99%", "99.9%"]
CONTENTS = {
    "distinct": lambda n: torch.randn(n, generator=torch.Generator().manual_seed(n)),
    "ties": lambda n: torch.arange(n).remainder(3).float(),
    "all zero": torch.zeros,
    "constant": torch.ones,
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("target", TARGETS)
def test_exactly_k_weights_stay(target: str, content: str) -> None:
    """Row 12: k = N - round_half_even(s N) for N <= 64, any ties; ties go to the lowest index."""
    for size in range(1, 65):
        model = nn.Linear(size, 1, bias=False)
        with torch.no_grad():
            model.weight.copy_(CONTENTS[content](size))
        magnitudes = model.weight.detach().abs().flatten()
        session = begin(f"sparse {target} min=0 1it lr=0.1", model, _sgd(model))
        mask = session.masks["weight"].flatten()
        keep = size - round(exact(target) * size)
        order = sorted(range(size), key=lambda place: (-float(magnitudes[place]), place))
        assert mask.nonzero().flatten().tolist() == sorted(order[:keep])
        assert session.sparsity()["total"] == pytest.approx(1 - keep / size)


def test_bf16_with_many_ties_at_the_threshold() -> None:
    """Row 12: 1,900 bf16 weights with one value, and some others."""
    model = nn.Linear(2000, 1, bias=False).bfloat16()
    with torch.no_grad():
        model.weight.fill_(0.5)
        model.weight[0, :100] = 1.0
    session = begin("sparse 50% 1it lr=0.1", model, _sgd(model))
    assert session.masks["weight"][0].nonzero().flatten().tolist() == list(range(1000))


def test_one_weight_stays_unless_min_is_0() -> None:
    """Row 12: `min=`, reported when it bites."""
    model = network()
    session = begin("sparse 99.9% 1it lr=0.1", model, _sgd(model))
    assert session.events[0].details["kept_by_minimum"] == ["0.weight", "3.weight", "5.weight"]
    assert set(session.events[0].details["alive"].values()) == {1}
    model = network()
    session = begin("sparse 99.9% min=5 1it lr=0.1", model, _sgd(model))
    assert set(session.events[0].details["alive"].values()) == {5}
    session = begin("sparse 99.9% min=0 1it lr=0.1", model, _sgd(model))
    assert session.sparsity()["total"] == 1.0
    assert "kept_by_minimum" not in session.events[0].details


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("text", ["dense 2it lr=0.1; sparse 50% 4it", "sparse 0->50% every=2it 4it lr=0.1"])
def test_a_score_that_is_not_finite_is_an_error_and_changes_nothing(text: str, value: float) -> None:
    """Row 13: the error names parameter and update; no mask is touched; the session can be saved and goes on later."""
    model = network()
    session = begin(text, model, _sgd(model))
    for _ in range(2):
        one_update(session, model)
    masks = {name: mask.clone() for name, mask in session.masks.items()}
    good = model[3].weight.detach().clone()
    with torch.no_grad():
        model[3].weight[0, 0] = value
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    phase, events = session.phase, len(session.events)
    for _ in range(2):
        with pytest.raises(DsdError, match=r"`3\.weight`.* at update 2"):
            session.begin_step()
        with pytest.raises(ValueError, match="begin_step"):
            session.step()
    assert (session.phase, len(session.events)) == (phase, events)
    assert all(torch.equal(session.masks[name], mask) for name, mask in masks.items())
    assert len(session.masks) == len(masks)
    for name, weight in model.named_parameters():
        assert torch.equal(weight.nan_to_num(), before[name].nan_to_num())
    saved = session.state_dict()
    other = network()
    resumed = begin(text, other, _sgd(other))
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other[3].weight.copy_(good)
    resumed.load_state_dict(saved)
    run(resumed, other)
    assert resumed.sparsity()["total"] == 0.5


def test_an_alive_weight_that_is_zero_stays_alive() -> None:
    """Row 14: masks are stored, never inferred from `w != 0`."""
    model = nn.Linear(10, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([0.0, 0, 0, 0, 0, 0, 0, 1, 1, 1]))
    session = begin("sparse 50% 3it lr=0.1; sparse held 2it", model, _sgd(model))
    mask = session.masks["weight"].clone()
    assert int(mask.sum()) == 5
    while not session.done:
        session.begin_step()
        model.weight.grad = torch.ones_like(model.weight)
        session.step()
        assert torch.equal(session.masks["weight"], mask)
    assert bool((model.weight[mask] != 0).all())


def test_cumulative_pruning_has_the_published_counts() -> None:
    """Row 15: LeNet-300-100, 20% of the remaining a round, 10% in the output layer (Frankle & Carbin 2019)."""
    torch.manual_seed(0)
    shapes = ((784, 300), (300, 100), (100, 10))
    model = nn.Sequential(*(nn.Linear(inputs, outputs, bias=False) for inputs, outputs in shapes))
    text = "repeat 18 { sparse [output: 10%, fc: 20%] of=remaining 0ep lr=0.1 }"
    session = begin(text, model, _sgd(model))
    sizes = {"0.weight": 235_200, "1.weight": 30_000, "2.weight": 1_000}
    shares: list[float] = []
    for event in (event for event in session.events if event.kind == "enter"):
        for name, size in sizes.items():
            sizes[name] = size - round(Fraction(1, 10 if name == "2.weight" else 5) * size)
            assert abs(event.details["alive"][name] - sizes[name]) <= 1
        shares.append(100 * sum(event.details["alive"].values()) / 266_200)
    published = {3: 51.3, 7: 21.1, 12: 7.0, 15: 3.6, 18: 1.9}
    assert {done: round(shares[done - 1], 1) for done in published} == published
    assert session.done


def test_only_the_alive_compete_for_what_remains() -> None:
    """Row 15: `of=remaining` never revives; the masks are nested."""
    model = network()
    session = begin("repeat 5 { sparse 30% of=remaining 3it lr=0.5 }", model, _sgd(model))
    masks = dict(session.masks)
    while not session.done:
        one_update(session, model)
        assert all(not bool((mask & ~masks[name]).any()) for name, mask in session.masks.items())
        masks = dict(session.masks)


@pytest.mark.parametrize("shape", ["cubic", "linear", "cosine", "exp"])
def test_a_ramp_begins_left_and_ends_right(shape: str) -> None:
    """The left value at the first update, the right one exactly from the last selection on; selections every=3it."""
    model = nn.Linear(40, 25, bias=False)
    text = f"dense 1it lr=0.01; sparse 10->80% ramp={shape} every=3it 11it; dense 1it".replace("10->", "10%->")
    session = begin(text, model, _sgd(model))
    seen: list[float] = []
    while not session.done:
        session.begin_step()
        seen.append(session.sparsity()["total"])
        model.weight.grad = torch.randn(25, 40)
        session.step()
    inside = seen[1:12]
    assert inside[0] == 0.1
    assert inside[9] == inside[10] == 0.8
    assert inside[0] == inside[1] == inside[2] < inside[3] == inside[5] < inside[6] == inside[8] < inside[9]
    selections = [event.update for event in session.events if event.kind == "select"]
    assert selections == [4, 7, 10]
    if shape == "linear":
        assert inside[3] == pytest.approx(0.1 + 0.7 / 3, abs=1e-3)


def test_a_random_ramp_prunes_ever_more_of_one_order() -> None:
    """`by=random` draws once for a phase: a ramp's masks are nested, reproducible, and the seed decides."""
    found = []
    for seed in (0, 0, 1):
        model = network()
        session = begin("sparse 0->90% by=random every=1it 5it lr=0.1", model, _sgd(model), seed=seed)
        masks = [session.masks["0.weight"].clone()]
        while not session.done:
            one_update(session, model)
            masks.append(session.masks["0.weight"].clone())
        assert all(not bool((later & ~earlier).any()) for earlier, later in itertools.pairwise(masks))
        found.append(masks[-1])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_random_masks_differ_between_phases_and_leave_the_global_generator_alone() -> None:
    """`by=random` has a stream of its own."""
    model = network()
    state = torch.random.get_rng_state()
    session = begin("sparse 50% by=random 1it lr=0.1; sparse 50% by=random 1it", model, _sgd(model))
    first = session.masks["0.weight"].clone()
    one_update(session, model)
    session.begin_step()
    assert not torch.equal(session.masks["0.weight"], first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_order_largest_prunes_the_largest() -> None:
    """`by=magnitude(order=largest)`."""
    model = network()
    magnitudes = model[0].weight.detach().abs().clone()
    session = begin("sparse 50% by=magnitude(order=largest) 1it lr=0.1", model, _sgd(model))
    mask = session.masks["0.weight"]
    assert float(magnitudes[mask].max()) <= float(magnitudes[~mask].min())


def test_n_of_m_keeps_n_of_each_m() -> None:
    """`2:4` along the input dimension, and what does not fit is named."""
    model = network()
    session = begin("sparse 2:4 1it lr=0.1", model, _sgd(model))
    assert bool((session.masks["0.weight"].view(16, 3, 4).sum(-1) == 2).all())
    with pytest.raises(DsdError, match="weight"):
        begin("sparse 2:4 1it lr=0.1", nn.Linear(6, 3), _sgd(model))


def test_list_targets_the_first_match_wins() -> None:
    """`[output: 30%, fc: 50%]`."""
    model = network()
    session = begin("sparse [output: 25%, fc: 50%] 1it lr=0.1", model, _sgd(model))
    assert session.sparsity() == {"0.weight": 0.5, "3.weight": 0.5, "5.weight": 0.25, "total": (96 + 128 + 16) / 512}
    with pytest.raises(DsdError, match="DSD201"):
        begin("sparse [conv: 25%, fc: 50%] 1it lr=0.1", model, _sgd(model))


def test_a_list_may_have_a_ramp() -> None:
    """One item of a list ramps, the other stands still."""
    model = network()
    session = begin("sparse [output: 50%, fc: 0->75%] every=2it 5it lr=0.1", model, _sgd(model))
    assert session.sparsity()["0.weight"] == 0.0
    run(session, model)
    assert session.sparsity()["0.weight"] == 0.75
    assert session.sparsity()["5.weight"] == 0.5


def test_held_keeps_the_masks_and_needs_some() -> None:
    """`sparse held`; without masks it is refused at attach, not in the middle of a run."""
    model = network()
    session = begin("sparse 50% 2it lr=0.1; sparse held 3it; dense 1it", model, _sgd(model))
    masks = {name: mask.clone() for name, mask in session.masks.items()}
    for _ in range(4):
        one_update(session, model)
    assert session.phase.index == 1
    assert all(torch.equal(session.masks[name], mask) for name, mask in masks.items())
    for text in ("sparse held 1it lr=0.1", "sparse 50% 1it lr=0.1; dense 1it; sparse held 1it"):
        with pytest.raises(DsdError, match="uses `held`, but no masks are active before it"):
            begin(text, network(), _sgd(model))


def test_global_scope_lets_all_layers_compete() -> None:
    """`scope=global`: one exact k over all tensors."""
    model = network()
    with torch.no_grad():
        model[3].weight.mul_(0.01)
    session = begin("sparse 50% scope=global 1it lr=0.1", model, _sgd(model))
    total = 12 * 16 + 16 * 16 + 16 * 4
    assert sum(session.events[0].details["alive"].values()) == total - total // 2
    assert session.sparsity()["3.weight"] > 0.9 > session.sparsity()["0.weight"]


def test_a_sparse_phase_defines_the_whole_mask_state_unless_others_hold() -> None:
    """Masks of unselected layers go, or stay with `others=hold`."""
    for argument, expected in (("", {"5.weight"}), ("others=hold", {"0.weight", "5.weight"})):
        model = network()
        text = f'sparse 50% layers="0" 2it lr=0.1; sparse 50% layers="5" {argument} 2it'
        session = begin(text, model, _sgd(model))
        for _ in range(3):
            one_update(session, model)
        assert set(session.masks) == expected
        revived = session.events[2].details["revived"]
        assert revived == (0 if argument else 96)


def test_densifying_by_target_revives_at_zero() -> None:
    """A lower target in `sparse` after `sparse`: the revived begin at zero and are counted."""
    model = network()
    session = begin("sparse 75% 2it lr=0.1; sparse 25% 2it", model, _sgd(model))
    for _ in range(2):
        one_update(session, model)
    masks = {name: mask.clone() for name, mask in session.masks.items()}
    session.begin_step()
    revived = sum(int((~masks[name] & mask).sum()) for name, mask in session.masks.items())
    assert session.events[-1].details["revived"] == revived > 0
    assert all(not bool(model.get_parameter(name)[~mask].any()) for name, mask in masks.items())


def test_lottery_ticket_rewinds_after_the_choice() -> None:
    """`from=@init` after the masks are chosen from the trained weights; the optimizer starts without state."""
    model = network()
    first = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    session = begin("dense 5it lr=0.1; sparse 50% from=@init 2it lr=0.1", model, optimizer)
    for _ in range(5):
        one_update(session, model)
    trained = model[0].weight.detach().abs().clone()
    session.begin_step()
    mask = session.masks["0.weight"]
    assert float(trained[mask].min()) >= float(trained[~mask].max())
    for name, weight in model.named_parameters():
        kept = session.masks.get(name, torch.ones_like(weight, dtype=torch.bool))
        assert torch.equal(weight, first[name] * kept)
    assert not any(state for state in optimizer.state.values())


@pytest.mark.parametrize(
    ("late", "message"),
    [
        ("sparse 1:16", r"DSD409: `1:16` does not fit `2.weight`"),
        ("sparse [fc: 20%, output: 10%]", "DSD201: `output` is never reached"),
    ],
)
def test_what_fits_nothing_is_found_at_attach_not_after_the_dense_phase(late: str, message: str) -> None:
    model = nn.Sequential(nn.Linear(32, 20), nn.ReLU(), nn.Linear(20, 2))
    with pytest.raises(DsdError, match=message):
        begin(f"dense 1it lr=0.1; {late} 1it; dense", model, _sgd(model))


def test_the_inputs_of_a_transposed_convolution_are_those_of_one_group() -> None:
    from dsd_runtime.engine.layers import inventory

    model = nn.Sequential(nn.ConvTranspose2d(12, 8, 3, groups=2), nn.Conv2d(8, 4, 3))
    inputs = {weight.name: weight.num_inputs for layer in inventory(model) for weight in layer.weights}
    assert inputs == {"0.weight": 6, "0.bias": 0, "1.weight": 8, "1.bias": 0}
    session = begin('sparse 1:3 layers="0" 1it lr=0.1', model, _sgd(model))
    assert session.sparsity()["total"] == pytest.approx(2 / 3)
