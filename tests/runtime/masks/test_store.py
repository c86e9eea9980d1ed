"""Kept where: zeros outside the masks, bit by bit, in place."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks import MaskStore
from dsd_runtime.masks.clearing import PIECE_ELEMENTS, ClearingMask, rows_in_a_piece


def store_of(model: nn.Module) -> MaskStore:
    return MaskStore(model.named_parameters(remove_duplicate=False))


def half(tensor: Tensor) -> Tensor:
    return torch.rand(tensor.shape, generator=torch.Generator().manual_seed(tensor.numel())) < 0.5


def bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (1100, 1000), (2, 600_000), (64, 64, 16, 16)])
def test_clearing_leaves_the_living_bits_and_zeroes_the_rest(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    values = torch.randn(shape).to(dtype)
    values.view(-1)[::5] = float("nan")
    values.view(-1)[1::5] = -float("inf")
    values.view(-1)[2::5] = -0.0
    before, mask = bits(values.clone()), half(values)
    clearing = ClearingMask(mask)
    assert clearing.count_outside(values) == int((bits(values)[~mask] != 0).sum())
    clearing.clear(values)
    assert torch.equal(bits(values)[mask], before[mask])
    assert not bits(values)[~mask].any()
    assert clearing.count_outside(values) == 0


def test_large_tensors_are_cleared_in_pieces() -> None:
    for shape, rows in (((1100, 1000), PIECE_ELEMENTS // 1000), ((3, 600_000), 1), ((100, 1000), 0), ((1, 10**6), 0)):
        assert rows_in_a_piece(shape, shape[0] * shape[1], torch.device("cpu")) == rows


def test_channels_last_parameters_and_gradients() -> None:
    model = nn.Conv2d(32, 48, 3).to(memory_format=torch.channels_last)
    store, mask = store_of(model), half(model.weight)
    store.set("weight", mask)
    assert store.masks["weight"].stride() == model.weight.stride()
    model(torch.randn(2, 32, 8, 8)).square().sum().backward()
    store.apply_to_gradients()
    store.apply_to_weights()
    assert not bits(model.weight)[~mask].any()
    assert not bits(model.weight.grad)[~mask].any()
    assert model.weight.grad[mask].ne(0).all()
    assert store.hash() == hash_of(nn.Conv2d(32, 48, 3), {"weight": mask})


def hash_of(model: nn.Module, masks: dict[str, Tensor]) -> str:
    store = store_of(model)
    for name, mask in masks.items():
        store.set(name, mask)
    return store.hash()


def test_an_alive_zero_stays_alive() -> None:
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight.zero_()
    store = store_of(model)
    store.set("weight", torch.ones(4, 4, dtype=torch.bool))
    store.apply_to_weights()
    assert store.alive_counts() == {"weight": 16}
    assert store.off_mask_counts() == {}


def test_counting_what_is_off_the_mask_finds_negative_zero_too() -> None:
    model = nn.Linear(3, 2, bias=False)
    store = store_of(model)
    mask = torch.tensor([[True, False, False], [True, True, False]])
    store.set("weight", mask)
    assert store.off_mask_counts() == {"weight": 3}
    store.apply_to_weights()
    assert store.off_mask_counts() == {}
    with torch.no_grad():
        model.weight[0, 1] = -0.0
    assert store.off_mask_counts() == {"weight": 1}


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_weights_stay_where_they_are_and_act(kind: type[nn.RNN]) -> None:
    model = kind(6, 8, num_layers=2, bidirectional=True)
    inputs = torch.randn(5, 3, 6)
    before, places = model(inputs)[0], [p.data_ptr() for p in model.parameters()]
    store = store_of(model)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            store.set(name, half(parameter))
    store.apply_to_weights()
    after = model(inputs)[0]
    assert [p.data_ptr() for p in model.parameters()] == places
    assert not torch.allclose(before, after)
    rebuilt = copy.deepcopy(model)
    assert torch.equal(rebuilt(inputs)[0], after)
    after.sum().backward()
    store.apply_to_gradients()
    for name, mask in store.masks.items():
        assert not bits(model.get_parameter(name).grad)[~mask].any()


def test_tied_modules_have_one_mask_counted_once() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(10, 4), "head": nn.Linear(4, 10, bias=False)})
    model["head"].weight = model["embed"].weight
    store = store_of(model)
    store.set("head.weight", half(model["embed"].weight))
    assert list(store.masks) == ["embed.weight"]
    assert "head.weight" in store
    assert store.owner("head.weight") == "embed.weight"
    assert sum(store.alive_counts().values()) == int(half(model["embed"].weight).sum())
    store.clear()
    assert "head.weight" not in store


def test_two_parameters_on_one_storage_are_tied() -> None:
    model = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3)})
    model["b"].weight.data = model["a"].weight.data
    store, mask = store_of(model), half(model["a"].weight)
    store.set("b.weight", mask)
    assert list(store.masks) == ["a.weight"]
    (model["a"](torch.randn(2, 4)) + model["b"](torch.randn(2, 4))).sum().backward()
    store.apply_to_gradients()
    assert not model["a"].weight.grad[~mask].any()
    assert not model["b"].weight.grad[~mask].any()


def test_memory_shared_under_another_shape_is_refused() -> None:
    model = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(3, 4)})
    model["b"].weight.data = model["a"].weight.data.t()
    with pytest.raises(DsdError, match=r"`a.weight` and `b.weight` share memory"):
        store_of(model)


def test_memory_shared_under_another_dtype_is_refused() -> None:
    model = nn.ModuleDict({"a": nn.Linear(4, 3).half(), "b": nn.Linear(4, 3).bfloat16()})
    model["b"].weight.data = model["a"].weight.data.view(torch.bfloat16)
    with pytest.raises(DsdError, match=r"`a.weight` and `b.weight` share memory but differ in shape or dtype"):
        store_of(model)


def test_gradients_that_are_missing_or_sparse() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(20, 6, sparse=True), "unused": nn.Linear(3, 3)})
    store = store_of(model)
    mask = half(model["embed"].weight)
    store.set("embed.weight", mask)
    store.set("unused.weight", torch.ones(3, 3, dtype=torch.bool))
    model["embed"](torch.tensor([1, 1, 7, 19])).sum().backward()
    expected = model["embed"].weight.grad.to_dense() * mask
    store.apply_to_gradients()
    assert model["embed"].weight.grad.is_sparse
    assert torch.equal(model["embed"].weight.grad.to_dense(), expected)


def test_nothing_is_rebound_and_state_dict_keys_stay() -> None:
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 2))
    keys, parameters = list(model.state_dict()), list(model.parameters())
    store = store_of(model)
    store.set("0.weight", half(model[0].weight))
    store.apply_to_weights()
    assert list(model.state_dict()) == keys
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))


def test_copies_are_masked_by_name() -> None:
    model = nn.Sequential(nn.Linear(5, 5))
    average = torch.optim.swa_utils.AveragedModel(model)
    store, mask = store_of(model), half(model[0].weight)
    store.set("0.weight", mask)
    store.apply_to_copy(average.named_parameters(), prefix="module.")
    assert not bits(average.module[0].weight)[~mask].any()
    assert model[0].weight[~mask].ne(0).all()


def test_packing_is_one_bit_a_weight_and_comes_back() -> None:
    model = nn.Sequential(nn.Linear(13, 7), nn.Conv2d(3, 5, 3))
    store = store_of(model)
    masks = {name: half(p) for name, p in model.named_parameters() if p.dim() > 1}
    for name, mask in masks.items():
        store.set(name, mask)
    packed, digest = store.pack(), store.hash()
    assert {name: bits.numel() for name, bits in packed.items()} == {"0.weight": 12, "1.weight": 17}
    assert all(bits.dtype == torch.uint8 for bits in packed.values())
    other = store_of(copy.deepcopy(model))
    other.unpack(packed)
    assert all(torch.equal(other.masks[name], mask) for name, mask in masks.items())
    assert other.hash() == digest
    assert other.alive_counts() == store.alive_counts()
    with pytest.raises(DsdError, match=r"`0.weight` does not fit"):
        other.unpack({"0.weight": packed["1.weight"]})


def test_hash_ignores_the_order_and_sees_every_bit_and_name() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    first, second = half(model[0].weight), ~half(model[1].weight)
    base = hash_of(model, {"0.weight": first, "1.weight": second})
    assert hash_of(model, {"1.weight": second, "0.weight": first}) == base
    assert hash_of(model, {"0.weight": second, "1.weight": first}) != base
    flipped = first.clone()
    flipped[3, 3] ^= True
    assert hash_of(model, {"0.weight": flipped, "1.weight": second}) != base


def test_masks_of_the_wrong_kind_are_refused() -> None:
    store = store_of(nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"bool of shape \(3, 4\)"):
        store.set("weight", torch.ones(4, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="bool of shape"):
        store.set("weight", torch.ones(3, 4))
    with pytest.raises(ValueError, match="no parameter `wieght`"):
        store.set("wieght", torch.ones(3, 4, dtype=torch.bool))


def test_the_stored_mask_is_a_copy() -> None:
    model = nn.Linear(4, 3)
    store, mask = store_of(model), torch.ones(3, 4, dtype=torch.bool)
    store.set("weight", mask)
    mask[:] = False
    assert store.masks["weight"].all()
    store.clear()
    assert len(store) == 0


def test_integer_optimizer_state_is_refused_by_name() -> None:
    model = nn.Linear(4, 3)
    store = store_of(model)
    store.set("weight", half(model.weight))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.state[model.weight]["code"] = torch.zeros(3, 4, dtype=torch.uint8)
    with pytest.raises(DsdError, match=r"`code` of `weight` as torch.uint8"):
        store.apply_to_optimizer_state(optimizer)
