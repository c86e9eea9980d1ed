"""Scores that are measured on a model give the known answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis
from dsd_runtime.masks.measuring import Measuring, comparable, num_samples, ranks_in_rows
from dsd_runtime.masks.scores import SCORES

X = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
Y = torch.tensor([[1.0, 0.0], [-2.0, 1.0]])
W = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def linear(weight: Tensor = W) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def squares(model: nn.Module, batch: Any) -> Tensor:
    """Half the sum of squared errors of [N, K], a mean over the samples."""
    return ((model(batch[0]) - batch[1]) ** 2).sum() / (2 * len(batch[0]))


def measuring(
    by: str,
    model: nn.Module,
    data: list[Any],
    loss: Callable[[nn.Module, Any], Tensor] = squares,
    axes: Mapping[str, InputAxis] | None = None,
    names: tuple[str, ...] | None = None,
    **arguments: str,
) -> Measuring:
    weights = {name: (weight,) for name, weight in model.named_parameters() if weight.dim() > 1}
    chosen = {name: weights[name] for name in names or weights}
    return Measuring(by, model, chosen, loss, lambda: iter(data), arguments, axes or {})


def scores(by: str, model: nn.Module, data: list[Any], **options: Any) -> Mapping[str, Tensor]:
    method = SCORES[by]
    assert method.measure is not None
    return method.measure(measuring(by, model, data, **options)).scores({})


def test_gradient_is_the_mean_of_absolute_gradients() -> None:
    """By hand: for each batch g = (W x - y) x^T of its one sample."""
    batches = [(X[:1], Y[:1]), (X[1:], Y[1:])]
    expected = torch.stack([(W @ x - y).outer(x).abs() for x, y in zip(X, Y, strict=True)]).mean(0)
    found = scores("gradient", linear(), batches, batches="2")["weight"]
    torch.testing.assert_close(found, expected)


def test_snip_is_the_gradient_of_a_gate() -> None:
    """The loss with w replaced by c w, derived by c at 1, over the batches together."""
    gate = torch.ones_like(W, requires_grad=True)
    squares(lambda x: x @ (gate * W).t(), (X, Y)).backward()  # type: ignore[arg-type]
    assert gate.grad is not None
    batches = [(X[:1], Y[:1]), (X[1:], Y[1:])]
    torch.testing.assert_close(scores("snip", linear(), batches, batches="2")["weight"], gate.grad.abs())
    one_by_one = scores("snip", linear(), batches[:1])["weight"] + scores("snip", linear(), batches[1:])["weight"]
    assert not torch.allclose(one_by_one / 2, gate.grad.abs()), "signs cancel before the absolute value"


def test_taylor_is_the_squared_change_of_a_linear_loss() -> None:
    def line(model: nn.Module, batch: Any) -> Tensor:
        return (model(batch[0]) * batch[1]).sum()

    found = scores("taylor", linear(), [(X, Y)] * 8, loss=line)["weight"]
    for row, column in [(0, 0), (1, 2), (0, 1)]:
        without = W.clone()
        without[row, column] = 0
        change = line(linear(), (X, Y)) - line(linear(without), (X, Y))
        torch.testing.assert_close(found[row, column].float(), change.detach() ** 2)


def test_fisher_is_twice_the_increase_of_a_quadratic_loss_with_a_known_diagonal() -> None:
    """Batches whose gradients are +-sqrt(h) e_i: their mean square is h, the Hessian's diagonal; the increase without w
    is h w^2 / 2 at the minimum.
    """
    curvature = torch.tensor([[1.0, 4.0, 0.25], [9.0, 2.0, 0.5]])

    def loss(model: nn.Module, sign: Any) -> Tensor:
        return (model.weight * curvature.sqrt() * sign).sum()  # type: ignore[operator]

    signs = [torch.tensor(1.0), torch.tensor(-1.0)]
    found = scores("fisher", linear(), signs, loss=loss, batches="2")["weight"]
    torch.testing.assert_close(found.float(), curvature * W**2)


def test_grasp_by_double_backward_on_a_quadratic() -> None:
    """L = w A w / 2 - b w has g = A w - b and H = A; pruned first is the smallest w (H g)."""
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]])
    aim = torch.tensor([0.5, -1.0])
    weight = torch.tensor([[1.0, -2.0]])

    def loss(model: nn.Module, batch: Any) -> Tensor:
        w = model.weight[0]  # type: ignore[index]
        return w @ matrix @ w / 2 - aim @ w

    found = scores("grasp", linear(weight), [None], loss=loss, T="1")["weight"]
    torch.testing.assert_close(found[0], weight[0] * (matrix @ (matrix @ weight[0] - aim)))
    with pytest.raises(DsdError, match="`T=200`, and the loss function does not call the model"):
        scores("grasp", linear(weight), [None], loss=loss)


def test_grasp_removes_what_costs_the_least_gradient_flow() -> None:
    """The sign, against the flow g^T g itself: the weight with the smallest score loses the least of it, or gains."""
    torch.manual_seed(1)
    matrix = torch.randn(6, 6)
    matrix = matrix @ matrix.t()
    weight = torch.randn(1, 6) * 1e-3
    aim = torch.randn(6)

    def flow(w: Tensor) -> float:
        return float((matrix @ w - aim).square().sum())

    def loss(model: nn.Module, batch: Any) -> Tensor:
        w = model.weight[0]  # type: ignore[index]
        return w @ matrix @ w / 2 - aim @ w

    found = scores("grasp", linear(weight), [None], loss=loss, T="1")["weight"][0]
    left = [flow(weight[0] * (torch.arange(6) != index)) for index in range(6)]
    assert found.argsort().tolist() == torch.tensor(left).argsort(descending=True).tolist()


def test_grasp_divides_the_logits_by_T() -> None:
    model, batch = linear(torch.randn(4, 3)), (X, torch.tensor([1, 3]))

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1])

    def cooled(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]) / 50, batch[1])

    found = scores("grasp", model, [batch], loss=loss, T="50")["weight"]
    torch.testing.assert_close(found, scores("grasp", model, [batch], loss=cooled, T="1")["weight"])
    assert not torch.allclose(found, scores("grasp", model, [batch], loss=loss)["weight"])
    assert not model._forward_hooks


def test_grasp_without_second_derivatives_is_one_sentence() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, value: Tensor) -> Tensor:
            return value.square()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient

    with pytest.raises(DsdError, match="`by=grasp` needs second derivatives, which an operation of the model does not"):
        scores("grasp", linear(), [(X, Y)], loss=lambda model, batch: Once.apply(model(batch[0])).sum())


def test_a_weight_that_the_loss_does_not_reach_has_the_score_0() -> None:
    model = nn.Sequential(linear(), nn.Linear(7, 2))
    found = scores("snip", model, [(X, Y)], loss=lambda model, batch: squares(model[0], batch))  # type: ignore[index]
    assert found["0.weight"].abs().sum() > 0
    assert not found["1.weight"].any()


def test_weights_that_share_memory_have_the_sum_of_their_gradients() -> None:
    model = linear()
    twin = nn.Parameter(model.weight.detach())
    given = measuring("gradient", model, [(X, Y)], loss=lambda model, batch: squares(model, batch) + twin.sum())
    found = SCORES["gradient"].measure(copy_with(given, {"weight": (model.weight, twin)}))  # type: ignore[misc]
    alone = linear()
    squares(alone, (X, Y)).backward()
    assert alone.weight.grad is not None
    torch.testing.assert_close(found.scores({})["weight"], (alone.weight.grad + 1).abs())


def copy_with(given: Measuring, weights: Mapping[str, tuple[Tensor, ...]]) -> Measuring:
    return Measuring(given.by, given.model, weights, given.loss, given.read, given.arguments)


# --- the flow of synflow ----------------------------------------------------------------------------------------------


def network(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_synflow_by_hand() -> None:
    """Two layers: the score of w_ij in the first is |w_ij| times the sum of |v| in column i."""
    model = network(2, 2, 1)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))  # type: ignore[union-attr, operator]
        model[2].weight.copy_(torch.tensor([[-5.0, 0.5]]))  # type: ignore[union-attr, operator]
    found = scores("synflow", model, [torch.randn(7, 2)], loss=lambda model, batch: model(batch).sum())
    assert found["0.weight"].tolist() == [[5.0, 10.0], [1.5, 2.0]]
    assert found["2.weight"].tolist() == [[15.0, 3.5]]


def test_synflow_is_conserved_from_layer_to_layer() -> None:
    model = network(5, 9, 7, 3)
    before = copy.deepcopy(model.state_dict())
    sums = [float(each.sum()) for each in scores("synflow", model, [(X, Y)], loss=_on_ones).values()]
    assert sums == pytest.approx([sums[0]] * 3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def _on_ones(model: nn.Module, batch: Any) -> Tensor:
    size = next(model.parameters()).shape[1]
    return model(torch.randn(4, size)).sum()  # type: ignore[no-any-return]


def test_synflow_sees_the_masks_of_the_round_before() -> None:
    measure = SCORES["synflow"].measure
    assert measure is not None
    flow = measure(measuring("synflow", network(2, 3, 1), [(X, Y)], loss=_on_ones))
    mask = torch.tensor([[True, True], [False, False], [True, False]])
    masked = flow.scores({"0.weight": mask})
    assert not masked["0.weight"][~mask].any()
    assert masked["2.weight"][0, 1] == 0, "nothing flows through the unit"
    assert flow.scores({})["0.weight"].all(), "the masks of a round are forgotten in the next"


def test_synflow_uses_ones_of_the_shape_of_one_sample_and_whole_numbers_as_they_are() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(5, 3), nn.Linear(3, 2, bias=False)
            self.seen: list[tuple[Any, ...]] = []

        def forward(self, tokens: Tensor, weights: Tensor) -> dict[str, Tensor]:
            self.seen.append((tokens, weights))
            return {"logits": self.out(self.embed(tokens)) * weights[..., None], "size": torch.tensor(3)}

    model = Tokens()
    batch = {"tokens": torch.tensor([[4, 1], [0, 2]]), "weights": torch.rand(2, 2)}
    given = measuring("synflow", model, [batch], loss=lambda model, batch: model(**batch)["logits"].sum())
    measure = SCORES["synflow"].measure
    assert measure is not None
    flow: Any = measure(given)
    assert flow.scores({})["embed.weight"].sum(1).ne(0).tolist() == [False, True, False, False, True]
    tokens, weights = flow._model.seen[0]
    assert tokens.tolist() == [[4, 1]]
    assert weights.tolist() == [[1.0, 1.0]]
    assert not model.seen, "the model itself is not run"


# --- inputs of layers -------------------------------------------------------------------------------------------------


def test_wanda_by_hand() -> None:
    norms = X.square().sum(0).sqrt()
    found = scores("wanda", linear(), [(X[:1], Y[:1]), (X[1:], Y[1:])], samples="2")["weight"]
    torch.testing.assert_close(found, W.abs() * norms)


def test_ranks_within_rows() -> None:
    scores = torch.tensor([[0.1, 5.0, 2.0], [9.0, 7.0, 9.0]])
    expected = [[-2, 0, -1], [0, -2, -1]]
    assert ranks_in_rows(scores, COLUMNS).tolist() == expected
    assert ranks_in_rows(scores.t(), InputAxis(0)).t().tolist() == expected
    assert ranks_in_rows(torch.tensor([[1.0, float("nan")]]), COLUMNS).isnan().tolist() == [[False, True]]


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"stride": 2, "padding": (0, 1)},
        {"dilation": 2, "padding": "same", "padding_mode": "circular"},
        {"groups": 2},
    ],
    ids=str,
)
def test_wanda_of_a_convolution_is_that_of_the_linear_layer_on_its_patches(options: dict[str, Any]) -> None:
    """The columns' norms by `unfold`, an independent way."""
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, (3, 2), bias=False, **options)
    images = torch.randn(3, 4, 7, 6)
    found = scores("wanda", conv, [images], loss=lambda model, batch: model(batch).sum(), samples="3")["weight"]
    sides = conv._reversed_padding_repeated_twice
    mode = "circular" if conv.padding_mode == "circular" else "constant"
    padded = functional.pad(images, sides, mode=mode)
    columns = functional.unfold(padded, conv.kernel_size, dilation=conv.dilation, stride=conv.stride)
    norms = columns.square().sum((0, 2)).sqrt().reshape(conv.groups, 4 // conv.groups, 3, 2)
    expected = conv.weight.detach().abs() * norms.repeat_interleave(6 // conv.groups, dim=0)
    torch.testing.assert_close(found, expected)


def test_a_layer_without_known_inputs_is_named() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.out = nn.GRU(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.rnn(x)[0])  # type: ignore[no-any-return]

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return model(batch).sum()  # type: ignore[no-any-return]

    with pytest.raises(DsdError, match=r"`by=wanda` ranks .* `rnn.weight_ih_l0` belongs to a `GRU`") as caught:
        scores("wanda", Model(), [torch.randn(5, 1, 3)], loss=loss)
    assert caught.value.help is not None
    assert 'except="rnn"' in caught.value.help
    unused = nn.ModuleDict({"used": nn.Linear(3, 2), "unused": nn.Linear(3, 2)})
    with pytest.raises(DsdError, match=r"`unused.weight` is used without a call of its layer"):
        scores("wanda", unused, [X] * 64, loss=lambda model, batch: model["used"](batch).sum())  # type: ignore[index]


def test_a_weight_with_inputs_first() -> None:
    """The `Conv1D` of transformers is [in, out]."""

    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nx, self.weight = 3, nn.Parameter(W.t().clone())

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight

    axes = {"weight": InputAxis(0)}
    found = scores("wanda", Conv1D(), [(X, Y)], axes=axes, samples="2")["weight"]
    torch.testing.assert_close(found, scores("wanda", linear(), [(X, Y)], samples="2")["weight"].t())


# --- batches and numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "message", "help"),
    [
        ("taylor", "`by=taylor` asks for 8 batches, and there are 1", "by=taylor(batches=1)"),
        ("wanda", "`by=wanda` asks for 128 samples, and there are 2", "by=wanda(samples=2)"),
    ],
)
def test_too_few_batches(by: str, message: str, help: str) -> None:
    with pytest.raises(DsdError, match=message) as caught:
        scores(by, linear(), [(X, Y)])
    assert caught.value.help is not None
    assert help in caught.value.help


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda model, batch: model(batch[0]),
            r"returned a tensor of the shape \(2, 2\), not a tensor with one number",
        ),
        (lambda model, batch: 0.5, "returned float, not a tensor with one number"),
        (lambda model, batch: model(batch[0]).sum().detach(), "does not depend on the weights"),
    ],
)
def test_a_loss_that_is_none(loss: Any, message: str) -> None:
    with pytest.raises(DsdError, match=message):
        scores("snip", linear(), [(X, Y)], loss=loss)


def test_the_size_of_a_batch() -> None:
    class Sized:
        def __len__(self) -> int:
            return 5

    assert num_samples((torch.zeros(3, 2), torch.zeros(3))) == 3
    assert num_samples({"a": "text", "b": [torch.zeros(4)]}) == 4
    assert num_samples(Sized()) == 5
    assert num_samples([1, 2]) == 0


def test_squares_are_brought_into_the_range_of_float32_together() -> None:
    found = comparable(
        {"a": torch.tensor([1e-60, 4e-60], dtype=torch.float64), "b": torch.tensor([2e-60], dtype=torch.float64)}
    )
    assert found["a"].dtype == torch.float32
    assert found["a"][1] / found["b"][0] == 2
    assert 0 < found["a"][0] < found["b"][0] < found["a"][1] <= 1
    assert comparable({"a": torch.zeros(2).double()})["a"].tolist() == [0, 0]
    assert comparable({"a": torch.tensor([float("nan")]).double()})["a"].isnan().all()
