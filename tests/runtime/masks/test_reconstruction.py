"""SparseGPT on a matrix: the column by column solution, its counts and its special cases."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.measuring import Measuring
from dsd_runtime.masks.reconstruction import InverseFactor, as_given, by_pattern, by_shares, reconstructed
from dsd_runtime.masks.selection import select_exactly
from dsd_runtime.masks.sparsegpt import Reconstruction
from dsd_runtime.masks.targets import NofM, Pruned


def correlated(rows: int = 400, columns: int = 24, seed: int = 0) -> Tensor:
    """Inputs [rows, columns] of which neighbours are alike."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns // 4, columns, generator=generator)
    common = torch.randn(rows, columns // 4, generator=generator) @ mixing
    return common + 0.3 * torch.randn(rows, columns, generator=generator)


def weights(rows: int = 16, columns: int = 24) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(1))


def factor_of(products: Tensor, damp: float = 0.0) -> InverseFactor:
    return InverseFactor.of(products, damp=damp, name="w")


def everything(weight: Tensor) -> Tensor:
    return torch.ones_like(weight, dtype=torch.bool)


def test_with_uncorrelated_inputs_it_is_magnitude() -> None:
    weight = weights()
    keep = by_shares(everything(weight), 100, 24)
    mask, new = reconstructed(weight, factor_of(torch.eye(24)), keep, block=24)
    assert torch.equal(mask, select_exactly(weight.abs(), 100))
    torch.testing.assert_close(new.float(), weight * mask)


@pytest.mark.parametrize("block", [4, 24])
def test_it_beats_magnitude_on_correlated_inputs(block: int) -> None:
    inputs, weight = correlated(), weights()
    factor = factor_of(inputs.t() @ inputs, damp=0.01)
    mask, new = reconstructed(weight, factor, by_shares(everything(weight), 192, block), block=block)
    magnitude = weight * select_exactly(weight.abs(), 192)

    def error(pruned: Tensor) -> float:
        return float((inputs @ (pruned.float() - weight).t()).square().sum())

    assert int(mask.sum()) == 192
    assert error(new) < 0.5 * error(magnitude)
    assert error(new) < 0.7 * error(weight * mask), "the kept weights adapt"


def test_one_weight_pruned_from_the_first_column_is_the_exact_solution() -> None:
    """Of the columns behind it least squares finds the same, if nothing else is pruned."""
    inputs, weight = correlated(columns=8).double(), weights(1, 8).double()
    mask = everything(weight)
    mask[0, 0] = False
    _, new = reconstructed(weight, factor_of(inputs.t() @ inputs), as_given(mask), block=3)
    best = torch.linalg.lstsq(inputs[:, 1:], inputs @ weight.t()).solution[:, 0]
    torch.testing.assert_close(new[0, 1:], best)


def test_scores_are_the_error_that_pruning_costs_at_best() -> None:
    """w^2 / U_jj^2 of the first column is the squared error that is left when the columns behind it have adapted."""
    inputs, weight = correlated(columns=8).double(), weights(1, 8).double()
    score = factor_of(inputs.t() @ inputs).scores(weight)[0, 0]
    lost, rest = inputs[:, :1] @ weight[:, :1].t(), inputs[:, 1:]
    residual = lost - rest @ torch.linalg.lstsq(rest, lost).solution
    torch.testing.assert_close(score, residual.square().sum())


@pytest.mark.parametrize("keep", [0, 1, 191, 192, 193, 384])
@pytest.mark.parametrize("block", [1, 5, 128])
def test_counts_are_exact(keep: int, block: int) -> None:
    inputs, weight = correlated(), weights()
    factor = factor_of(inputs.t() @ inputs, damp=0.01)
    mask, new = reconstructed(weight, factor, by_shares(everything(weight), keep, block), block=block)
    assert int(mask.sum()) == keep
    assert not new[~mask].any()


def test_only_competitors_are_kept() -> None:
    inputs, weight = correlated(), weights()
    among = torch.rand(weight.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    factor = factor_of(inputs.t() @ inputs, damp=0.01)
    mask, _ = reconstructed(weight, factor, by_shares(among, 60, 8), block=8)
    assert int(mask.sum()) == 60
    assert not (mask & ~among).any()


def test_a_pattern() -> None:
    inputs, weight = correlated(), weights()
    factor = factor_of(inputs.t() @ inputs, damp=0.01)
    mask, _ = reconstructed(weight, factor, by_pattern(2, 4), block=8)
    assert mask.reshape(16, 6, 4).sum(-1).eq(2).all()


def test_an_input_that_is_always_0_is_pruned_first_and_kept_weights_of_it_stay() -> None:
    inputs, weight = correlated(), weights()
    inputs[:, 5] = 0
    factor = factor_of(inputs.t() @ inputs, damp=0.01)
    mask, _ = reconstructed(weight, factor, by_shares(everything(weight), 16 * 23, 24), block=24)
    assert not mask[:, 5].any()
    _, new = reconstructed(weight, factor, as_given(everything(weight)), block=24)
    torch.testing.assert_close(new.float(), weight)


def test_inputs_all_alike_need_damping() -> None:
    with pytest.raises(DsdError, match="the inputs of `w` are too alike") as caught:
        factor_of(torch.ones(4, 4))
    assert caught.value.help is not None
    assert "damp=" in caught.value.help
    factor_of(torch.ones(4, 4), damp=0.1)


def _measured(model: nn.Module, batch: Tensor, **arguments: str) -> Reconstruction:
    named = {name: (weight,) for name, weight in model.named_parameters() if weight.dim() > 1}
    options = {"samples": "4", **arguments}
    return Reconstruction.of(
        Measuring("sparsegpt", model, named, lambda model, batch: model(batch).sum(), lambda: iter([batch]), options)
    )


@pytest.mark.parametrize("target", [Pruned(Fraction(1, 2)), NofM(2, 4)], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_keeps_its_shape_its_counts_and_its_output(target: Pruned | NofM, groups: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 6, 3, padding=1, bias=False, groups=groups)
    images = torch.randn(4, 8, 9, 9)
    images[:, 1::2] = images[:, ::2] + 0.2 * images[:, 1::2]
    measured = _measured(conv, images)
    scores = measured.scores({})["weight"]
    assert scores.shape == conv.weight.shape
    half = select_exactly(scores, conv.weight.numel() // 2)
    masks, new = measured.finish({"weight": half}, {"weight": target}, {}, is_free=True)
    mask, values = masks["weight"], new["weight"]
    assert int(mask.sum()) == conv.weight.numel() // 2
    if isinstance(target, NofM):
        inputs = mask.movedim(1, -1)
        assert inputs.reshape(*inputs.shape[:-1], -1, 4).sum(-1).eq(2).all()
    whole = conv(images)
    errors = []
    for pruned in (values, conv.weight.detach() * mask):
        changed = nn.functional.conv2d(images, pruned, padding=1, groups=groups)
        errors.append(float((changed - whole).detach().square().sum()))
    assert errors[0] < 0.8 * errors[1]


def test_a_mask_that_may_not_move_keeps_its_places() -> None:
    layer = nn.Linear(8, 6, bias=False)
    measured = _measured(layer, torch.randn(4, 8))
    mask = torch.rand(6, 8) < 0.5
    masks, new = measured.finish({"weight": mask}, {"weight": Pruned(Fraction(1, 2))}, {}, is_free=False)
    assert torch.equal(masks["weight"], mask)
    assert new["weight"].dtype == layer.weight.dtype
