"""Models of many kinds under masks: rows 7 to 11 of the engine's table, copies, compilation, moves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, one_update, run, samples
from torch import nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import dsd_lang
import dsd_runtime
from dsd_lang.base.errors import DsdError


@pytest.mark.parametrize("kind", ["ema", "swa", "deepcopy"])
def test_copies_can_be_masked(kind: str) -> None:
    """Row 7: an average remembers what was pruned; `mask_copy` clears it, off-mask count 0, and nothing else."""
    model = network()
    averages = {"ema": lambda: AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9)),
                "swa": lambda: AveragedModel(model), "deepcopy": lambda: copy.deepcopy(model)}  # fmt: skip
    average = averages[kind]()
    session = begin("dense 3it lr=0.1; sparse 70% 4it", model, optim.SGD(model.parameters(), lr=0.1))
    while not session.done:
        one_update(session, model)
        if isinstance(average, AveragedModel):
            average.update_parameters(model)
    inner = average.module if isinstance(average, AveragedModel) else average
    before = copy.deepcopy(inner)
    assert any(bool(inner.get_parameter(name)[~mask].any()) for name, mask in session.masks.items())
    session.mask_copy(average)
    for name, mask in session.masks.items():
        assert not bool(inner.get_parameter(name)[~mask].any())
        assert torch.equal(inner.get_parameter(name)[mask], before.get_parameter(name)[mask])
    assert torch.equal(inner[0].bias, before[0].bias)


def test_a_copy_of_another_model_is_refused() -> None:
    """Row 7: API misuse."""
    model = network()
    session = begin("sparse 50% 1it", model, optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="no weight"):
        session.mask_copy(nn.Linear(3, 3))


def test_batch_norm_goes_on_across_boundaries() -> None:
    """Row 8: entering a phase touches neither running statistics nor their count."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(),
                          nn.Linear(64, 4))  # fmt: skip
    session = begin("dense 3it lr=0.1; sparse 50% 3it; dense 3it", model, optim.SGD(model.parameters(), lr=0.1))
    images, labels = torch.randn(6, 2, 8, 8), torch.randint(0, 4, (6,))
    while not session.done:
        before = {name: value.clone() for name, value in model.named_buffers()}
        session.begin_step()
        assert all(torch.equal(before[name], value) for name, value in model.named_buffers())
        one_update(session, model, (images, labels))
    assert int(model[1].num_batches_tracked) == 9
    assert "0.weight" not in session.timeline.stages[1].phase.layers


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, 6)
        self.project = nn.Linear(6, 8, bias=False)
        self.project.weight = self.embed.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.project(self.embed(words))  # type: ignore[no-any-return]


@pytest.mark.parametrize("selector", ["fc", "embed", '"project"', '"embed"'])
def test_tied_weights_have_one_mask(selector: str) -> None:
    """Row 9: naming either owner masks the one storage, counted once."""
    torch.manual_seed(0)
    model = _Tied()
    session = begin(f"sparse 50% layers={selector} 3it", model, optim.AdamW(model.parameters(), lr=0.1))
    assert list(session.masks) == ["embed.weight"]
    assert session.events[0].details["sizes"] == {"embed.weight": 48}
    assert session.sparsity() == {"embed.weight": 0.5, "total": 0.5}
    words = torch.tensor([0, 1, 2, 3, 7])
    while not session.done:
        session.begin_step()
        session.optimizer.zero_grad()
        backward(model, words, words)
        session.step()
    assert_masked(session, model)
    assert model.project.weight is model.embed.weight
    assert int((model.project.weight != 0).sum()) == 24


def test_recurrent_weights_are_masked_in_place() -> None:
    """Row 10: the flattened buffer stays where it is, and the masked matrix really changes the output."""
    torch.manual_seed(0)
    model = nn.LSTM(5, 7, num_layers=2, bidirectional=True)
    inputs = torch.randn(6, 3, 5)
    pointers = [weight.data_ptr() for weight in model._flat_weights]
    identities = [id(weight) for weight in model.parameters()]
    dense_output = model(inputs)[0].detach()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    session = begin("sparse 80% layers=birnn 3it; sparse 50% layers=lstm.hh 2it; dense 2it", model, optimizer)
    assert len(session.masks) == 8
    assert not torch.allclose(model(inputs)[0].detach(), dense_output)
    zeroed = copy.deepcopy(model)
    assert torch.equal(zeroed(inputs)[0], model(inputs)[0])
    while not session.done:
        session.begin_step()
        optimizer.zero_grad()
        model(inputs)[0].square().mean().backward()
        session.step()
        if session.masks:
            assert_masked(session, model)
        if session.phase.index == 1:
            assert all("weight_hh" in name for name in session.masks)
    assert [weight.data_ptr() for weight in model._flat_weights] == pointers
    assert [id(weight) for weight in model.parameters()] == identities


def test_revived_weights_start_at_zero_and_a_zero_gradient_moves_nothing() -> None:
    """Row 11: never the pre-prune values by accident, whatever the optimizer remembers."""
    for build in (lambda p: optim.SGD(p, lr=0.1, momentum=0.9), lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.0)):
        model = network()
        session = begin("dense 4it lr=0.1; sparse 50% 4it; dense 2it state=reset", model, build(model.parameters()))
        while session.total_updates < 8:
            one_update(session, model)
        masks = dict(session.masks)
        session.begin_step()
        assert not session.masks
        for name, mask in masks.items():
            assert not bool(model.get_parameter(name)[~mask].any())
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        session.step()
        for name, mask in masks.items():
            assert not bool(model.get_parameter(name)[~mask].any())


Tensors = dict[str, torch.Tensor]


def _restored(restore: str, **options: object) -> tuple[nn.Sequential, Tensors, Tensors]:
    """A model just after a re-dense, the masks before it, and the weights just before they were pruned."""
    model = network()
    text = f"dense 3it lr=0.1; sparse 50% 3it; sparse 80% 3it; dense 2it {restore}"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1), **options)
    pruned: dict[str, torch.Tensor] = {}
    for count in range(9):
        one_update(session, model)
        if count in (2, 5):
            now = {name: value.detach().clone() for name, value in model.named_parameters()}
            old = session.masks
            pruned = {n: torch.where(old[n], v, pruned[n]) if n in old else v for n, v in now.items()}
    masks = {name: mask.clone() for name, mask in session.masks.items()}
    session.begin_step()
    return model, masks, pruned


def test_restore_saved_brings_back_the_values_at_the_moment_of_pruning() -> None:
    """Row 11, `restore=saved`: what each weight was when it was pruned, in whichever phase that was."""
    model, masks, pruned = _restored("restore=saved")
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name)[~mask], pruned[name][~mask])


def test_restore_init_brings_back_the_first_values() -> None:
    """Row 11, `restore=init`."""
    first = network()
    model, masks, _ = _restored("restore=init")
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name)[~mask], first.get_parameter(name)[~mask])


def _unseeded() -> nn.Sequential:
    """The network with weights from wherever the global generator stands."""
    layers = [nn.Linear(12, 16), nn.ReLU(), nn.Dropout(0.0), nn.Linear(16, 16)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(16, 4))


@pytest.mark.parametrize("factory", [None, _unseeded])
def test_restore_random_is_a_fresh_draw_that_the_seed_decides(factory: Callable[[], nn.Module] | None) -> None:
    """Row 11, `restore=random`: neither zero nor the first values, the same for the same seed."""
    state = torch.random.get_rng_state()
    drawn = (_restored("restore=random", seed=seed, factory=factory) for seed in (3, 3, 4))
    (model, masks, _), (again, _, _), (other, _, _) = drawn
    name, mask = next(iter(masks.items()))
    assert bool(model.get_parameter(name)[~mask].all())
    assert torch.equal(model.get_parameter(name), again.get_parameter(name))
    assert not torch.equal(model.get_parameter(name), other.get_parameter(name))
    assert not torch.equal(model.get_parameter(name)[~mask], network().get_parameter(name)[~mask])
    torch.random.set_rng_state(state)


@pytest.mark.parametrize("factory", [None, _unseeded])
@pytest.mark.parametrize("said", ["from=random", "restore=random"])
def test_a_random_draw_hangs_on_no_global_generator_and_moves_none(
    said: str, factory: Callable[[], nn.Module] | None
) -> None:
    drawn = []
    for seed in (1, 2):
        model = network()
        text = f"dense 1it lr=0.1; sparse 50% 1it; dense 1it {said}"
        session = begin(text, model, optim.SGD(model.parameters(), lr=0.1), factory=factory)
        one_update(session, model)
        one_update(session, model)
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        session.begin_step()
        assert torch.equal(torch.random.get_rng_state(), before)
        drawn.append([weight.detach().clone() for weight in model.parameters()])
    assert all(map(torch.equal, *drawn))


def test_restore_from_a_reference() -> None:
    """Row 11, `restore=@label.end`."""
    model = network()
    text = "warm: dense 3it lr=0.1; sparse 50% 3it; dense 2it restore=@warm.end"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    for _ in range(3):
        one_update(session, model)
    end = {name: value.detach().clone() for name, value in model.named_parameters()}
    for _ in range(3):
        one_update(session, model)
    masks = dict(session.masks)
    session.begin_step()
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name)[~mask], end[name][~mask])


@pytest.mark.parametrize("enforce", ["", "enforce=ste"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_are_compiled_once(backend: str, enforce: str) -> None:
    """Zero recompiles over dense, sparse and dense; the compiled and the plain model are one."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = network()
    compiled = torch.compile(model, backend=backend)
    text = f"dense 3it lr=0.1; sparse 50% 3it {enforce}; dense 3it"
    session = begin(text, compiled, optim.SGD(model.parameters(), lr=0.1))
    frames: list[int] = []
    while not session.done:
        one_update(session, compiled)  # type: ignore[arg-type]
        frames.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
        assert set(session.masks) <= {"0.weight", "3.weight", "5.weight"}
    assert frames == [1] * 9
    assert session.sparsity() == {"0.weight": 0.0, "3.weight": 0.0, "5.weight": 0.0, "total": 0.0}


def test_deepcopy_and_state_dict_are_those_of_the_plain_model() -> None:
    """Nothing is renamed, wrapped or re-parametrized; identities stay."""
    model = network()
    identities, keys = [id(weight) for weight in model.parameters()], list(model.state_dict())
    session = begin("sparse 50% 2it lr=0.1; dense 1it", model, optim.SGD(model.parameters(), lr=0.1))
    copied = copy.deepcopy(model)
    assert type(copied) is type(model)
    run(session, model)
    assert [id(weight) for weight in model.parameters()] == identities
    assert list(model.state_dict()) == keys == list(copied.state_dict())


def test_a_model_may_move_after_attach() -> None:
    """`.to()` changes the tensors under the same parameters; the masks follow."""
    model = network()
    session = begin("sparse 50% 4it lr=0.1", model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    model.double()
    features, labels = samples()
    while not session.done:
        one_update(session, model, (features.double(), labels))
    assert model[0].weight.dtype == torch.float64
    assert_masked(session, model)


@pytest.mark.filterwarnings("ignore::dsd_runtime.DsdWarning")
def test_frozen_and_foreign_parameters_that_are_named_stay_masked() -> None:
    """Row 21: named frozen weights are pruned and stay; weights that another optimizer trains stay masked too."""
    model = network()
    model[0].requires_grad_(False)
    other = optim.AdamW(model[3].parameters(), lr=0.1)
    text = 'dense 1it lr=0.1; sparse 50% layers="*" 4it'
    session = begin(text, model, optim.SGD(model[5].parameters(), lr=0.1))
    frozen = model[0].weight.detach().clone()
    while not session.done:
        session.begin_step()
        model.zero_grad()
        backward(model, *samples())
        other.step()
        session.step()
    mask = session.masks["0.weight"]
    assert torch.equal(model[0].weight[mask], frozen[mask])
    assert_masked(session, model)


def test_a_weight_written_by_something_else_is_found() -> None:
    """The session checks its own invariants at boundaries and every epoch."""
    model = network()
    session = begin("sparse 50% 2it lr=0.1; dense 1it", model, optim.SGD(model.parameters(), lr=0.1))
    one_update(session, model)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    with pytest.raises(DsdError, match=r"masked weights of `0.weight` are not zero at update 2"):
        one_update(session, model)


def test_selectors_that_match_nothing_say_what_there_is() -> None:
    """DSD201 with did-you-mean and the model's own inventory, at attach."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(DsdError, match="DSD201") as caught:
        begin("dense 1ep lr=0.1; sparse 50% layers=conv", nn.ModuleDict({"conv1": nn.Linear(3, 3)}), optimizer)
    assert caught.value.help == "this model has: fc (1)"
    with pytest.raises(DsdError, match="DSD201") as caught:
        begin('dense 1ep lr=0.1; sparse 50% layers="layr0"', nn.ModuleDict({"layer0": nn.Linear(3, 3)}), optimizer)
    assert "did you mean `layer0`?" in str(caught.value.help)
    with pytest.raises(DsdError, match="excluded"):
        begin("dense 1ep lr=0.1; sparse 50% except=fc", model, optimizer)


def test_a_plan_with_branches_is_refused_with_their_names() -> None:
    """`attach` takes one line; the error names the choices, and each of them can be attached."""
    text = "dense 1it lr=0.1\nfork {\n  a: sparse 50% 1it\n  b: dense 1it\n}"
    plan = dsd_lang.compile(text)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(DsdError, match=r'"a", "b"') as caught:
        dsd_runtime.attach(plan, model, optimizer, steps_per_epoch=4)
    assert 'plan.branch("a")' in str(caught.value.help)
    session = dsd_runtime.attach(plan.branch("a"), model, optimizer, steps_per_epoch=4)
    run(session, model)
    assert session.sparsity()["total"] == 0.5


def test_weights_from_a_file(tmp_path: Path) -> None:
    """`from="file"`: the weights of a safetensors file; what is wrong with it is one sentence, in time."""
    from safetensors.torch import save_file

    other, model = network(5), network()
    path = tmp_path / "other.safetensors"
    save_file(other.state_dict(), path)
    session = begin(f'dense 1it lr=0.1; sparse 50% 1it from="{path}"', model, optim.SGD(model.parameters(), lr=0.1))
    one_update(session, model)
    magnitudes = model[0].weight.detach().abs()
    session.begin_step()
    mask = session.masks["0.weight"]
    assert torch.equal(model[0].weight[mask], other[0].weight[mask])
    assert bool(magnitudes[mask].min() >= magnitudes[~mask].max()), "chosen before `from=` from the current weights"
    for content in (b"not safetensors", None):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(DsdError, match="cannot be read as safetensors"):
            begin(f'dense 1it lr=0.1 from="{path}"', model, optim.SGD(model.parameters(), lr=0.1))
    save_file({"0.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(DsdError, match=r"no `0.weight` of the shape \(16, 12\)"):
        begin(f'dense 1it lr=0.1 from="{path}"', model, optim.SGD(model.parameters(), lr=0.1))
