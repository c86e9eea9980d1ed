"""Scores that need a loss and batches in a user's own loop: `session.score()`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, one_update, run, samples, shuffled_loader
from several_ranks import in_ranks
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_runtime import Session, attach
from dsd_runtime.engine.references import tensors_of
from dsd_runtime.masks.selection import select_exactly

MEASURED = ["gradient", "snip", "taylor(batches=2)", "fisher(batches=2)", "grasp", "synflow(rounds=4)",
            "wanda(samples=16)", "sparsegpt(samples=16)"]  # fmt: skip


def loss_of(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1])


def batches(count: int = 4, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    features, labels = samples(count * size, seed=5)
    return list(zip(features.split(size), labels.split(size), strict=True))


def sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def with_norm() -> nn.Sequential:
    """A network with batch norm and dropout."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4))


@pytest.mark.parametrize("by", MEASURED)
def test_counts_are_exact_and_the_phase_trains_masked(by: str) -> None:
    model = network()
    session = begin(f"dense 2it lr=0.1; sparse 60% 3it by={by}; dense 1it", model, sgd(model))
    session.score(loss_of, batches())
    for _ in range(3):
        one_update(session, model)
    assert_masked(session, model)
    for name, mask in session.masks.items():
        assert int(mask.sum()) == mask.numel() - round(0.6 * mask.numel()), name
        if by.startswith("wanda"):
            assert int(mask.sum(1).max() - mask.sum(1).min()) <= 1, "every row keeps as many"
    run(session, model)


@pytest.mark.parametrize("by", MEASURED)
def test_nothing_else_changes_by_a_bit(by: str) -> None:
    """Weights outside of the masks, buffers, modes, gradients, state and generators after an entry."""
    model = with_norm()
    optimizer = sgd(model)
    session = begin(f"dense 1it lr=0.1; sparse 50% 3it by={by} layers=fc", model, optimizer)
    loader = shuffled_loader(batch_size=8)
    session.score(loss_of, loader)
    one_update(session, model)
    model.eval()
    model[1].train()
    weights = copy.deepcopy(tensors_of(model))
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}  # type: ignore[union-attr]
    generator, python = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    session.begin_step()
    assert torch.equal(torch.get_rng_state(), generator)
    assert np.random.get_state()[1].tolist() == python  # type: ignore[index, union-attr]
    assert [module.training for module in model] == [False, True, False, False, False]
    assert not any(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
    for name, value in tensors_of(model).items():
        mask = session.masks.get(name)
        if mask is not None and by.startswith("sparsegpt"):
            assert not value[~mask].any()
        else:
            assert torch.equal(value, weights[name] if mask is None else weights[name] * mask), name
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradients[name])


def test_the_masks_do_not_depend_on_what_was_drawn_before() -> None:
    """A shuffling loader and dropout draw from the phase's key."""
    masks = []
    for draws in (0, 3):
        model = with_norm()
        session = begin("sparse 50% 3it lr=0.1 by=snip(batches=2)", model, sgd(model))
        torch.rand(draws)
        session.score(loss_of, shuffled_loader(batch_size=8))
        masks.append(session.masks)
    assert all(torch.equal(mask, masks[1][name]) for name, mask in masks[0].items())


def test_a_loader_with_a_generator_of_its_own_goes_on_where_it_was() -> None:
    own = torch.Generator().manual_seed(3)
    loader = shuffled_loader(generator=own)
    before = own.get_state()
    model = network()
    session = begin("sparse 50% 3it lr=0.1 by=snip", model, sgd(model))
    session.score(loss_of, loader)
    assert torch.equal(own.get_state(), before)


@pytest.mark.parametrize("by", ["snip", "grasp", "synflow(rounds=4)"])
def test_a_weight_that_its_user_has_frozen_is_scored_and_stays_frozen(by: str) -> None:
    model, twin = network(), network()
    model[0].weight.requires_grad_(False)
    masks = []
    for one in (model, twin):
        trained = [parameter for parameter in one.parameters() if parameter.requires_grad]
        session = begin(f'sparse 50% 3it lr=0.1 by={by} layers="0","5"', one, optim.SGD(trained, lr=0.1))
        session.score(loss_of, batches())
        masks.append(session.masks)
    assert all(torch.equal(masks[0][name], masks[1][name]) for name in masks[1])
    assert not model[0].weight.requires_grad


def test_snip_is_the_competition_of_its_scores() -> None:
    """By hand: one competition over all layers."""
    model, batch = network(), batches()[0]
    gradients = torch.autograd.grad(loss_of(model, batch), [model[0].weight, model[3].weight, model[5].weight])
    scores = [(g * w).abs().detach() for g, w in zip(gradients, (m.weight for m in model if hasattr(m, "weight")))]  # noqa: B905
    flat = torch.cat([score.flatten() for score in scores])
    session = begin("sparse 75% 3it lr=0.1 by=snip scope=global min=0", model, sgd(model))
    session.score(loss_of, [batch])
    found = torch.cat([mask.flatten() for mask in session.masks.values()])
    assert torch.equal(found, select_exactly(flat, flat.numel() - round(0.75 * flat.numel())))


def test_wanda_ranks_within_each_row() -> None:
    model, given = network(), batches(16)
    session = begin('sparse 50% 3it lr=0.1 by=wanda layers="0"', model, sgd(model))
    norms = torch.cat([features for features, _ in given]).square().sum(0).sqrt()
    scores = model[0].weight.detach().abs() * norms
    session.score(loss_of, given)
    mask = session.masks["0.weight"]
    assert torch.equal(mask, torch.stack([select_exactly(row, 6) for row in scores]))


def test_wanda_over_all_layers_if_asked() -> None:
    model = network()
    session = begin("sparse 50% 3it lr=0.1 by=wanda scope=global", model, sgd(model))
    session.score(loss_of, batches(16))
    masks = session.masks
    assert sum(int(mask.sum()) for mask in masks.values()) == sum(mask.numel() for mask in masks.values()) // 2
    assert masks["0.weight"].sum(1).unique().numel() > 1


def test_sparsegpt_changes_kept_weights_and_says_so() -> None:
    model = network()
    session = begin("dense 1it lr=0.1; sparse 50% 3it by=sparsegpt(samples=32)", model, sgd(model))
    session.score(loss_of, batches())
    one_update(session, model)
    before = copy.deepcopy(model.state_dict())
    session.begin_step()
    entered = next(event for event in reversed(session.events) if event.kind == "enter")
    changed = sum(
        int(((model.get_parameter(name) != before[name]) & mask).sum()) for name, mask in session.masks.items()
    )
    assert entered.details["adapted"] == changed > 0


def test_saved_values_are_those_from_before_sparsegpt_adapts() -> None:
    model = network()
    text = "dense 1it lr=0.1; sparse 50% 1it by=sparsegpt(samples=32); dense 1it lr=1e-9 restore=saved"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    session.score(loss_of, batches())
    one_update(session, model)
    before = copy.deepcopy(model.state_dict())
    one_update(session, model)
    masks = session.masks
    one_update(session, model)
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name)[~mask], before[name][~mask])


@pytest.mark.parametrize(
    ("target", "counts"),
    [
        ("2:4", [96, 128, 32]),
        ('["0": 25%, fc: 75%]', [144, 64, 16]),
        ("0->80% ramp=linear every=2it", [38, 51, 13]),
    ],
)
@pytest.mark.parametrize("by", ["snip", "synflow(rounds=3)", "sparsegpt(samples=16)"])
def test_every_kind_of_target(target: str, counts: list[int], by: str) -> None:
    model = network()
    session = begin(f"sparse {target} 5it lr=0.1 by={by}", model, sgd(model))
    session.score(loss_of, batches())
    run(session, model)
    assert [int(mask.sum()) for mask in session.masks.values()] == counts
    assert_masked(session, model)


@pytest.mark.parametrize("by", ["gradient", "grasp", "synflow(rounds=3)", "sparsegpt(samples=16)", "wanda(samples=16)"])
def test_what_is_pruned_stays_pruned_with_of_remaining(by: str) -> None:
    model = network()
    session = begin(f"sparse 50% 1it lr=0.1; sparse 50% 1it by={by} of=remaining", model, sgd(model))
    session.score(loss_of, batches())
    one_update(session, model)
    before = session.masks
    one_update(session, model)
    for name, mask in session.masks.items():
        assert not (mask & ~before[name]).any()
        assert int(mask.sum()) == int(before[name].sum()) // 2


def test_no_layer_collapses_with_synflow_where_snip_loses_one() -> None:
    """99.9% of a deep network, globally: Tanaka et al. 2020, figure 1."""

    def smallest(by: str) -> int:
        torch.manual_seed(3)
        sizes = [12, *[64] * 6, 4]
        layers = [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), nn.ReLU())]
        model = nn.Sequential(*layers[:-1])
        session = begin(f"sparse 99.9% 1it lr=0.1 by={by} scope=global min=0", model, sgd(model))
        session.score(loss_of, batches())
        return min(int(mask.sum()) for mask in session.masks.values())

    assert smallest("snip") == 0
    assert smallest("synflow") > 0


def test_the_batches_are_run_once_for_all_parameters() -> None:
    calls = []

    def counted(model: nn.Module, batch: Any) -> Tensor:
        calls.append(batch)
        return loss_of(model, batch)

    model = network()
    session = begin("sparse 0->80% every=2it 6it lr=0.1 by=taylor(batches=3)", model, sgd(model))
    session.score(counted, batches())
    run(session, model)
    assert len(calls) == 9, "three batches at each of three selections"


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_first_phase_waits_for_score() -> None:
    model = network()
    weights = copy.deepcopy(model.state_dict())
    session = begin("S: sparse 50% 2it lr=0.1 by=snip; dense 1it from=@init", model, sgd(model))
    assert not session.masks
    with pytest.raises(DsdError, match="phase `S` has `by=snip`, which needs the gradients of a loss") as caught:
        session.begin_step()
    assert caught.value.help is not None
    assert "session.score(loss_fn, batches)" in caught.value.help
    session.score(loss_of, batches())
    assert_masked(session, model)
    for _ in range(2):
        one_update(session, model)
    session.begin_step()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items()), "`@init` was kept"


def test_a_later_phase_is_named_and_the_session_goes_on_after_score() -> None:
    model = network()
    session = begin("dense 1it lr=0.1; late: sparse 50% 2it by=wanda", model, sgd(model))
    one_update(session, model)
    with pytest.raises(DsdError, match="phase `late` has `by=wanda`, which needs batches, and nobody has given them"):
        session.begin_step()
    session.score(loss_of, batches(16))
    run(session, model)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (iter([1]), "pass a DataLoader or a list, no iterator"),
        (5, "pass a DataLoader or a list, no iterator"),
        (shuffled_loader(num_workers=1, persistent_workers=True), "persistent workers"),
    ],
)
def test_batches_that_cannot_be_read_again(given: Any, message: str) -> None:
    model = network()
    session = begin("dense 1it lr=0.1; sparse 50% 2it by=snip", model, sgd(model))
    with pytest.raises(ValueError, match=message):
        session.score(loss_of, given)
    with pytest.raises(ValueError, match="`loss_fn` must be a function"):
        session.score(3, batches())  # type: ignore[arg-type]


def test_a_score_that_is_not_finite_is_named() -> None:
    model = network()
    session = begin("dense 1it lr=0.1; sparse 50% 2it by=snip", model, sgd(model))
    session.score(lambda model, batch: loss_of(model, batch) * torch.tensor(float("nan")), batches())
    one_update(session, model)
    with pytest.raises(DsdError, match=r"`0.weight` has the score nan at index 0 at update 1.* by `snip`"):
        session.begin_step()
    assert not session.masks


def test_layers_without_known_inputs_are_told_at_attach() -> None:
    model = nn.Sequential(nn.LSTM(12, 8))
    with pytest.raises(DsdError, match=r"`0.weight_ih_l0` belongs to a `LSTM`"):
        begin("dense 1it lr=0.1; sparse 50% 2it by=wanda", model, sgd(model))
    begin("dense 1it lr=0.1; sparse 50% 2it by=snip", model, sgd(model))


def test_sparsegpt_with_from_is_told_at_attach() -> None:
    model = network()
    with pytest.raises(DsdError, match="`by=sparsegpt`, which changes kept weights, and `from=`"):
        begin("a: dense 1it lr=0.1; sparse 50% 2it by=sparsegpt from=@a.start", model, sgd(model))


def test_sparsegpt_with_values_that_live_on_is_told_at_attach() -> None:
    model = network()
    with pytest.raises(DsdError, match=r"`by=sparsegpt`, whose kept weights make up for .* `enforce=ste`"):
        begin("dense 1it lr=0.1; sparse 0->50% every=2it 4it by=sparsegpt enforce=ste", model, sgd(model))


def test_scores_see_the_values_that_live_on() -> None:
    """With `enforce=ste` a ramp ranks all values again, and pruned weights may come back."""
    model = network()
    session = begin("sparse 50%->60% every=2it 6it lr=0.5 by=snip enforce=ste", model, sgd(model))
    session.score(loss_of, batches())
    before = session.masks
    run(session, model)
    assert any((session.masks[name] & ~mask).any() for name, mask in before.items())


def test_held_masks_need_no_loss() -> None:
    model = network()
    session = begin("set by=snip; sparse 50% 1it lr=0.1 by=magnitude; sparse held 1it", model, sgd(model))
    run(session, model)


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["snip", "sparsegpt(samples=16)", "synflow(rounds=3)"])
@pytest.mark.parametrize("stop", range(7))
def test_a_resumed_run_has_the_same_bits(by: str, stop: int) -> None:
    """Stopped after any number of updates; in the sparse phase, before and after a selection of its ramp."""
    text = f"dense 1it lr=0.1; sparse 0->80% every=2it 5it by={by}; dense 1it"

    def start() -> tuple[Session, nn.Module]:
        model = with_norm()
        torch.manual_seed(0)
        return begin(text, model, sgd(model)), model

    whole, model = start()
    whole.score(loss_of, shuffled_loader())
    run(whole, model)
    first, stopped = start()
    first.score(loss_of, shuffled_loader())
    for _ in range(stop):
        one_update(first, stopped)
    saved = copy.deepcopy((stopped.state_dict(), first.state_dict()))
    again, resumed = start()
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    again.score(loss_of, shuffled_loader())
    run(again, resumed)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in resumed.state_dict().items())


@pytest.mark.parametrize("is_scored_first", [True, False])
def test_a_first_phase_resumes(is_scored_first: bool) -> None:
    def start() -> tuple[Session, nn.Module]:
        model = network()
        return begin("sparse 50% 4it lr=0.1 by=snip; dense 1it", model, sgd(model)), model

    whole, model = start()
    whole.score(loss_of, batches())
    one_update(whole, model)
    saved = copy.deepcopy((model.state_dict(), whole.state_dict()))
    run(whole, model)
    again, resumed = start()
    resumed.load_state_dict(saved[0])
    if is_scored_first:
        again.score(loss_of, batches())
    again.load_state_dict(saved[1])
    if not is_scored_first:
        again.score(loss_of, batches())
    assert again.total_updates == 1
    run(again, resumed)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in resumed.state_dict().items())


# --- several processes ------------------------------------------------------------------------------------------------


def _masks_of_rank(rank: int, by: str, is_same: bool) -> dict[str, Tensor]:
    model = network()
    wrapped = DistributedDataParallel(model)
    session = begin(f"sparse 60% 1it lr=0.1 by={by}", wrapped, sgd(model))
    own = batches(4) if is_same else [(x[rank::2], y[rank::2]) for x, y in batches(4)]
    session.score(loss_of, own, same_on_all_ranks=is_same)
    one_update(session, wrapped)
    return dict(session.masks)


def _of_one_process(by: str) -> dict[str, Tensor]:
    model = network()
    session = begin(f"sparse 60% 1it lr=0.1 by={by}", model, sgd(model))
    session.score(loss_of, batches(4))
    return dict(session.masks)


@pytest.mark.slow
@pytest.mark.parametrize("by", MEASURED)
@pytest.mark.parametrize("is_same", [True, False])
def test_two_processes_choose_the_masks_of_one(by: str, is_same: bool, tmp_path: Path) -> None:
    found = in_ranks(2, _masks_of_rank, tmp_path / "ranks", by, is_same)
    expected = _of_one_process(by)
    assert found[0].keys() == expected.keys()
    for name, mask in expected.items():
        assert torch.equal(found[0][name], found[1][name])
        assert torch.equal(found[0][name], mask), name


def _too_few(rank: int) -> str:
    model = network()
    wrapped = DistributedDataParallel(model)
    session = begin("sparse 60% 1it lr=0.1 by=taylor(batches=3)", wrapped, sgd(model))
    with pytest.raises(DsdError) as caught:
        session.score(loss_of, batches(4 if rank else 2))
    return caught.value.message


@pytest.mark.slow
def test_a_process_with_too_few_batches_is_told_on_all(tmp_path: Path) -> None:
    assert in_ranks(2, _too_few, tmp_path / "ranks") == ["`by=taylor` asks for 3 batches, and there are 2"] * 2


def _sharded(rank: int) -> str:
    from torch.distributed.fsdp import fully_shard

    model = network()
    fully_shard(model)
    with pytest.raises(DsdError) as caught:
        attach(dsd_lang.compile("P: sparse 50% 1it lr=0.1 by=snip"), model, sgd(model), steps_per_epoch=1)
    return caught.value.message


@pytest.mark.slow
def test_a_sharded_model_is_refused_by_name(tmp_path: Path) -> None:
    said = in_ranks(2, _sharded, tmp_path / "ranks")[0]
    assert said == "phase `P` has `by=snip`, which needs whole weights, and the model is sharded (`fully_shard`)"


def test_an_update_after_the_entry_is_that_of_a_given_mask() -> None:
    """The loop goes on as with masks from elsewhere: nothing of the measurement is left in the gradients."""

    def trained(by: str) -> Iterator[Tensor]:
        model = network()
        session = begin(f"sparse 50% 3it lr=0.1 by={by}", model, sgd(model))
        session.score(loss_of, batches())
        session.optimizer.zero_grad()
        backward(model, *samples())
        session.step()
        yield from (parameter.detach() for parameter in model.parameters())

    reference = network()
    masks = begin("sparse 50% 3it lr=0.1 by=snip", reference, sgd(reference))
    masks.score(loss_of, batches())
    chosen, fresh = masks.masks, network()
    optimizer = sgd(fresh)
    with torch.no_grad():
        for name, mask in chosen.items():
            fresh.get_parameter(name).mul_(mask)
    backward(fresh, *samples())
    for name, mask in chosen.items():
        fresh.get_parameter(name).grad.mul_(mask)  # type: ignore[union-attr]
    optimizer.step()
    for found, expected in zip(trained("snip"), fresh.parameters(), strict=True):
        torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("more", ["scope=row", "alloc=erk", "scope=global unit=row", "unit=block(4, 2)"])
@pytest.mark.parametrize("by", ["snip", "wanda(samples=16)", "sparsegpt(samples=16)"])
def test_scopes_allocations_and_units_take_measured_scores(by: str, more: str) -> None:
    """With as many weights as by magnitude; and where masks are of whole units, they are whole."""
    counts = []
    for score in (by, "magnitude"):
        model = network()
        session = begin(f"sparse 50% 2it lr=0.1 by={score} {more}", model, sgd(model))
        session.score(loss_of, batches())
        run(session, model)
        assert_masked(session, model)
        if "unit=row" in more:
            assert all(mask.eq(mask[:, :1]).all() for mask in session.masks.values())
        counts.append([int(mask.sum()) for mask in session.masks.values()])
    if "global" not in more:  # where rows of layers compete, some have more weights than others
        assert counts[0] == counts[1]
