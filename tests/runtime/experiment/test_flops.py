"""The FLOPs of an update by layer, against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import dsd_lang
from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.units import exact
from dsd_lang.plan.allocation import Tensor as AllocatedTensor
from dsd_lang.plan.allocation import allocate
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.selection_plan import select_weights
from dsd_runtime.experiment import run_flops
from dsd_runtime.experiment.flops import forward_flops, update_flops, weights_of_layers
from dsd_runtime.experiment.products import multiplications
from dsd_runtime.models.torchvision_models import torchvision_model
from dsd_runtime.results.reading import read_results

from .conftest import Run, stopping_after

N = 6


def mean_of(model: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    def loss() -> Tensor:
        output = model(inputs)
        return (output[0] if isinstance(output, tuple) else output).mean()

    return loss


def test_lenet_300_100() -> None:
    """2 N times the weights; three times that with the backward pass, but the first layer has no inputs' gradient."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.Linear(100, 10))
    found = update_flops(model, mean_of(model, torch.randn(N, 1, 28, 28)))
    assert found.forward == {"1": 2 * N * 784 * 300, "3": 2 * N * 300 * 100, "4": 2 * N * 100 * 10}
    assert found.backward == {"1": 2 * N * 784 * 300, "3": 4 * N * 300 * 100, "4": 4 * N * 100 * 10}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_convolutions_strided_grouped_and_transposed() -> None:
    """Outputs (inputs, if transposed) times the weights that each uses; 8 x 8, then 4 x 4, then 8 x 8 again."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4),
        nn.ConvTranspose2d(12, 5, 2, stride=2),
    )
    found = update_flops(model, mean_of(model, torch.randn(N, 3, 8, 8)))
    first, second, third = 2 * N * 64 * 8 * 27, 2 * N * 16 * 12 * 2 * 9, 2 * N * 16 * 12 * 5 * 4
    assert found.forward == {"0": first, "1": second, "2": third}
    assert found.backward == {"0": first, "1": 2 * second, "2": 2 * third}


T, F, H = 7, 5, 4
STATE = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


@pytest.mark.parametrize("kind", STATE)
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layers(kind: type[nn.RNNBase], directions: int) -> None:
    """Each step multiplies by both matrices; the second layer sees both directions of the first."""
    model = kind(F, H, num_layers=2, bidirectional=directions == 2)
    found = update_flops(model, mean_of(model, torch.randn(T, N, F)))
    gates = STATE[kind] * H
    weights = directions * gates * (F + H) + directions * gates * (directions * H + H)
    assert found.forward == {"": 2 * T * N * weights}
    assert 0 < found.backward[""] <= 2 * found.forward[""]


def test_cudnns_layers_count_like_those_of_the_cpu() -> None:
    """Two layers, two directions; packed frames have one dimension less."""
    weights = [torch.empty(shape) for shape in [(16, F), (16, H), (16,), (16,)] * 2 + [(16, 2 * H), (16, H)] * 2]
    products = T * N * 2 * (16 * (F + H) + 16 * (2 * H + H))
    for frames in (torch.empty(T, N, F), torch.empty(T * N, F)):
        assert multiplications(torch.ops.aten._cudnn_rnn.default, (frames, weights), None) == products
        assert multiplications(torch.ops.aten._cudnn_rnn_backward.default, (frames, weights), None) == 2 * products
    model = nn.LSTM(F, H, num_layers=2, bidirectional=True)
    assert forward_flops(lambda: model(torch.randn(T, N, F))) == 2 * products


def test_the_calls_of_a_cell_count_for_it_in_both_passes() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.LSTMCell(F, H), nn.Linear(H, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            state = None
            for frame in inputs:
                state = self.cell(frame, state)
            assert state is not None
            return self.head(state[0])

    model = Loop()
    found = update_flops(model, mean_of(model, torch.randn(T, N, F)))
    inner, hidden = 2 * N * F * 4 * H, 2 * N * H * 4 * H
    assert found.forward == {"cell": T * (inner + hidden), "head": 2 * N * H * 2}
    assert found.backward == {"cell": T * (inner + hidden) + (T - 1) * hidden, "head": 4 * N * H * 2}


def test_a_pass_that_is_computed_again_counts_again() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(F, H), nn.Tanh(), nn.Linear(H, 2))

        def forward(self, inputs: Tensor) -> Tensor:
            return checkpoint(self.body, inputs, use_reentrant=False)

    model = Again()
    found = update_flops(model, mean_of(model, torch.randn(N, F)))
    first, second = 2 * N * F * H, 2 * N * H * 2
    assert found.forward == {"body.0": first, "body.2": second}
    assert found.backward == {"body.0": 2 * first, "body.2": 2 * second}


def test_attention_counts_products_and_owns_its_output_projection() -> None:
    model = nn.MultiheadAttention(8, 2, batch_first=True)
    rows = torch.randn(N, T, 8)
    found = forward_flops(lambda: model(rows, rows, rows, need_weights=False))
    assert found == 2 * N * T * 8 * (3 * 8 + 8) + 2 * 2 * N * T * T * 8
    assert weights_of_layers([""], inventory(model)) == {"": {"in_proj_weight": 192, "out_proj.weight": 64}}


UPDATE = 2 * 60 * (2 * 64 * 300 + 3 * (300 * 100 + 100 * 10))
"""Of `lenet_300_100` on a batch of 60 digits of 8 x 8."""
PASS = UPDATE * 1259 / 60
"""All training samples once: the last batch of a pass is smaller."""


def test_a_run_says_what_its_phases_cost(dsd_run: Run) -> None:
    outcome = dsd_run("dense 2ep lr=0.05; sparse 50% 1ep")
    dense, sparse = read_results(outcome.folder).phases
    assert dense.flops_executed == dense.flops_theoretical == pytest.approx(2 * PASS, abs=2)
    assert sparse.flops_executed == pytest.approx(PASS, abs=2)
    assert sparse.flops_theoretical == pytest.approx(PASS / 2, rel=1e-3)
    assert list(sparse.flops_by_layer) == ["fc.0", "fc.2", "fc.4"]
    assert read_results(outcome.folder).cost.flops_counted_on == "images 60 x 1 x 8 x 8"


def test_frozen_layers_need_no_gradient(dsd_run: Run) -> None:
    """What is before the first trained layer needs none at all, what is behind it only that of its inputs."""
    text = 'dense 1ep lr=0.05; dense 1ep freeze="fc.0"; dense 1ep freeze=output'
    trained, first, last = read_results(dsd_run(text).folder).phases
    whole, of_first, of_last = (phase.flops_by_layer for phase in (trained, first, last))
    products = {name: layer.executed / (2 if name == "fc.0" else 3) for name, layer in whole.items()}
    assert of_first["fc.0"].executed == pytest.approx(products["fc.0"], rel=1e-3)
    assert of_first["fc.2"].executed == pytest.approx(2 * products["fc.2"], rel=1e-3)
    assert of_first["fc.4"].executed == whole["fc.4"].executed
    assert of_last["fc.4"].executed == pytest.approx(2 * products["fc.4"], rel=1e-3)
    assert of_last["fc.0"].executed == whole["fc.0"].executed


def test_a_ramp_counts_each_of_its_masks_also_after_a_stop(dsd_run: Run) -> None:
    text = "sparse 0->80% every=4it 1ep lr=0.05"
    whole = read_results(dsd_run(text, out="whole").folder).phases[0]
    assert whole.flops_executed is not None
    assert whole.flops_theoretical is not None
    assert 0.2 * whole.flops_executed < whole.flops_theoretical < 0.6 * whole.flops_executed
    with stopping_after(10):
        assert dsd_run(text).code == 143
    assert read_results(dsd_run(text).folder).phases[0].flops_by_layer == whole.flops_by_layer


def test_gradients_that_enforce_needs_are_counted(dsd_run: Run) -> None:
    """The gradients of weights cost a third of the update: all with `ste`, half of them with `topkast`."""
    outcome = dsd_run("sparse 80% 1ep lr=0.05 enforce=ste; sparse 80% 1ep enforce=topkast(backward=50%)")
    gradients, rest = 2 * 1259 * 50_200, PASS - 2 * 1259 * 50_200
    ste, topkast = read_results(outcome.folder).phases
    assert ste.flops_theoretical == pytest.approx(0.2 * rest + gradients, rel=1e-3)
    assert topkast.flops_theoretical == pytest.approx(0.2 * rest + 0.5 * gradients, rel=1e-3)


def test_gradients_that_a_mask_update_needs_are_counted(dsd_run: Run) -> None:
    """RigL needs all gradients at its mask updates, here every second one but the first; SET none."""
    outcome = dsd_run(
        "sparse 80% 1ep lr=0.05 update=rigl(every=2it, until=100%); sparse 80% 1ep update=set(drop=30%, every=2it)"
    )
    gradients, rest = 2 * 1259 * 50_200, PASS - 2 * 1259 * 50_200
    rigl, at_random = read_results(outcome.folder).phases
    assert rigl.updates is not None
    dense = (rigl.updates - 1) // 2 / rigl.updates
    assert rigl.flops_theoretical == pytest.approx(0.2 * rest + (0.2 + 0.8 * dense) * gradients, rel=1e-3)
    assert at_random.flops_theoretical == pytest.approx(0.2 * PASS, rel=1e-3)


def test_counting_changes_nothing_and_is_done_once(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "dense 1ep lr=0.05"
    counted = dsd_run(text, out="counted")

    def fails(*_: object) -> None:
        raise RuntimeError("no counter works here")

    monkeypatch.setattr(run_flops, "update_flops", fails)
    uncounted = dsd_run(text, out="uncounted")
    assert "note: the FLOPs of `lenet_300_100` are not counted: RuntimeError: no counter works here" in uncounted.err
    assert uncounted.weights() == counted.weights()
    assert uncounted.result["phases"] == counted.result["phases"]
    assert "not counted" not in dsd_run(text, out="counted").err


@pytest.mark.parametrize(
    ("selection", "published"),
    [
        ("80%", 0.23),
        ("80% alloc=erk layers=conv,fc", 0.42),
        ("90% alloc=erk layers=conv,fc", 0.24),
        ("90% layers=conv,fc", 0.10),  # no layer dense: with the first one it would be 0.126
    ],
)
def test_sparse_resnet50_has_the_published_share_of_the_flops(
    resnet50: tuple[dict[str, int], tuple[LayerInfo, ...]], selection: str, published: float
) -> None:
    """Figure 2 of Evci et al., *Rigging the Lottery*, ICML 2020, from counts alone: layers, as planned, and FLOPs."""
    flops, layers = resnet50
    assert sum(flops.values()) == pytest.approx(8.2e9, rel=0.005)
    phase = dsd_lang.compile(f"dense 1ep lr=1; sparse {selection} 1ep").phases[1]
    weights = {weight.name: weight for layer in layers for weight in layer.weights if weight.is_matrix}
    names = select_weights(phase, layers).names
    tensors = {name: AllocatedTensor(weights[name].size, weights[name].size, weights[name].shape) for name in names}
    assert phase.target is not None
    keep = allocate(phase.alloc, tensors, exact(phase.target.pruned or ""), minimum=1).keep
    left = sum(flops[name.removesuffix(".weight")] * keep.get(name, w.size) / w.size for name, w in weights.items())
    assert left / sum(flops.values()) == pytest.approx(published, abs=0.0075)


@pytest.fixture(scope="module")
def resnet50() -> tuple[dict[str, int], tuple[LayerInfo, ...]]:
    """The FLOPs of a forward pass by layer, and the layers; without memory."""
    with torch.device("meta"):
        model, image = torchvision_model("resnet50"), torch.empty(1, 3, 224, 224)
    return dict(update_flops(model, lambda: model(image).sum()).forward), inventory(model)
