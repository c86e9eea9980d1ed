"""The bidirectional recurrence: right, differentiable, exact under padding, in every precision, really masked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from dsd_runtime.experiment.flops import forward_flops
from dsd_runtime.models import batched_loops, graphed_loops
from dsd_runtime.models.frames import Frames
from dsd_runtime.models.recurrence import clipped_recurrence
from dsd_runtime.models.recurrent import BidirectionalRecurrent

LENGTHS = torch.tensor([7, 4, 1, 6])
STEPS = 7


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def _frames(lengths: Tensor = LENGTHS) -> Frames:
    return Frames.of(lengths, int(lengths.max()))


def _reference(projection: Tensor, matrices: tuple[Tensor, Tensor], clip: float) -> Tensor:
    """One sample [T, H], written as in the paper, with an ordinary autograd graph."""
    outputs = []
    for matrix, order in zip(matrices, (range(len(projection)), reversed(range(len(projection)))), strict=True):
        state, states = torch.zeros_like(projection[0]), {}
        for step in order:
            state = (projection[step] + matrix @ state).clamp(0, clip)
            states[step] = state
        outputs.append(torch.stack([states[step] for step in range(len(projection))]))
    return outputs[0] + outputs[1]


def _arguments(units: int = 5, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    rows = int(LENGTHS.sum())
    shapes = ((rows, units), (units, units), (units, units))
    first, second, third = (torch.randn(*shape, dtype=torch.double) * scale for shape in shapes)
    return first.requires_grad_(), second.requires_grad_(), third.requires_grad_()


@pytest.mark.parametrize("clip", [20.0, 1.5])
def test_values_and_gradients_equal_the_written_out_recurrence(clip: float) -> None:
    frames = _frames()
    projection, *matrices = _arguments()
    ours = clipped_recurrence(projection, *matrices, frames, clip=clip)
    padded = frames.unpack(projection)
    alone = [
        _reference(padded[i, :length], (matrices[0], matrices[1]), clip) for i, length in enumerate(LENGTHS.tolist())
    ]
    theirs = frames.pack(nn.utils.rnn.pad_sequence(alone, batch_first=True))
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(ours)
    for mine, expected in zip(
        torch.autograd.grad((ours * weights).sum(), (projection, *matrices)),
        torch.autograd.grad((theirs * weights).sum(), (projection, *matrices)),
        strict=True,
    ):
        torch.testing.assert_close(mine, expected)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_a_matrix_beyond_the_cache_gives_the_same_on_any_number_of_threads(threads: int) -> None:
    frames, units = _frames(), 640
    exact = [value.detach() / units**0.5 for value in _arguments(units)]
    weights = torch.randn(len(exact[0]), units, dtype=torch.double)

    def results(dtype: torch.dtype) -> list[Tensor]:
        arguments = [value.to(dtype).requires_grad_() for value in exact]
        output = clipped_recurrence(*arguments, frames, clip=0.1)
        return [output, *torch.autograd.grad((output * weights.to(dtype)).sum(), arguments)]

    for mine, expected in zip(results(torch.float32), results(torch.double), strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.get_num_threads() == threads
    with torch.inference_mode():
        quiet = clipped_recurrence(*(value.float() for value in exact), frames, clip=0.1)
    torch.testing.assert_close(quiet.double(), results(torch.double)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 2, 16, 17, 18, 33, 40])
@pytest.mark.parametrize("clip", [20.0, 0.3])
def test_loops_in_pieces_of_a_graph_give_the_same_bits(num_frames: int, clip: float) -> None:
    shape, matrices = (num_frames, 2, 3, 8), (torch.randn(8, 8) / 2, torch.randn(8, 8) / 2)
    projections, gradients = torch.randn(shape), torch.randn(shape)
    projections[num_frames // 2 :, :, 1] = -torch.inf
    results = []
    for loops in (batched_loops, graphed_loops):
        states, slopes = projections.clone(), gradients.clone()
        loops.run_states(states, matrices, clip)
        loops.run_gradients(slopes, states, matrices, clip)
        results.append((states, slopes))
    for expected, found in zip(*results, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_equal_the_batched_loops_on_a_gpu() -> None:
    layer, rows = BidirectionalRecurrent(6, 32).cuda(), torch.randn(int(LENGTHS.sum()), 6, device="cuda")

    def results() -> list[Tensor]:
        output = layer(rows, _frames(LENGTHS.cuda()))
        return [output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))]

    expected = results()
    graphed_loops.switch(True)
    try:
        for found, wanted in zip(results(), expected, strict=True):
            torch.testing.assert_close(found, wanted)
    finally:
        graphed_loops.switch(False)


def test_the_products_of_a_large_matrix_are_counted_as_those_of_a_small_one() -> None:
    frames = _frames()

    def flops(units: int) -> int:
        rows = torch.randn(int(LENGTHS.sum()), units)
        return forward_flops(lambda: clipped_recurrence(rows, *torch.randn(2, units, units), frames))

    assert flops(640) == 100 * flops(64) == 2 * 2 * (STEPS - 1) * len(LENGTHS) * 640 * 640


@pytest.mark.parametrize("clip", [20.0, 1.5])
def test_gradcheck(clip: float) -> None:
    frames = _frames()
    arguments = _arguments(units=3, scale=0.6)
    assert torch.autograd.gradcheck(
        lambda *tensors: clipped_recurrence(*tensors, frames, clip=clip), arguments, eps=1e-7, atol=1e-5
    )


def test_the_clip_holds_a_growing_state() -> None:
    frames = Frames.of(torch.tensor([50]), 50)
    output = clipped_recurrence(torch.ones(50, 2), 2 * torch.eye(2), 2 * torch.eye(2), frames)
    assert output.max() == 40  # 20 from each direction


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_sample_does_not_depend_on_its_batch(batch_norm: bool) -> None:
    layer = BidirectionalRecurrent(6, 16, batch_norm=batch_norm)
    inputs = torch.randn(4, STEPS, 6)
    inputs[torch.arange(STEPS) >= LENGTHS[:, None]] = 1e6  # padding may hold anything
    frames = _frames()
    layer(frames.pack(inputs), frames)  # moves the running statistics
    layer.eval()
    together = frames.unpack(layer(frames.pack(inputs), frames))
    for index, length in enumerate(LENGTHS.tolist()):
        frames_alone = Frames.of(LENGTHS[index : index + 1], length)
        alone = layer(inputs[index, :length], frames_alone)
        torch.testing.assert_close(together[index, :length], alone, rtol=1e-5, atol=1e-5)
        assert not together[index, length:].any()


def test_batch_norm_statistics_leave_padding_out() -> None:
    layer = BidirectionalRecurrent(6, 16, batch_norm=True)
    frames = _frames()
    rows = torch.randn(int(LENGTHS.sum()), 6)
    layer(rows, frames)
    assert layer.norm is not None
    projection = rows @ layer.weight_ih.t()
    torch.testing.assert_close(layer.norm.running_mean, 0.1 * projection.mean(0))
    torch.testing.assert_close(layer.norm.running_var, 0.9 + 0.1 * projection.var(0))


def test_one_projection_is_shared_by_both_directions() -> None:
    layer = BidirectionalRecurrent(1024, 1024)
    assert [name for name, _ in layer.named_parameters()] == [
        "weight_ih",
        "weight_hh_forward",
        "weight_hh_backward",
        "bias",
    ]
    assert sum(parameter.numel() for parameter in layer.parameters()) == 3_146_752


def test_table_8_counts() -> None:
    for inputs, count in ((1312, 8_507_840), (1760, 9_296_320)):
        layer = BidirectionalRecurrent(inputs, 1760, batch_norm=True)
        assert sum(parameter.numel() for parameter in layer.parameters()) == count


@pytest.mark.parametrize("matrix", ["weight_ih", "weight_hh_forward", "weight_hh_backward"])
def test_masking_a_matrix_in_place_changes_the_output(matrix: str) -> None:
    layer = BidirectionalRecurrent(6, 16).eval()
    frames = _frames()
    rows = torch.randn(int(LENGTHS.sum()), 6)
    with torch.no_grad():
        before = layer(rows, frames)
        parameter = layer.get_parameter(matrix)
        pointer = parameter.data_ptr()
        parameter.mul_(torch.rand_like(parameter) > 0.5)
        after = layer(rows, frames)
    assert parameter.data_ptr() == pointer
    assert not torch.equal(before, after)


def test_a_step_of_sgd_moves_every_parameter() -> None:
    layer = BidirectionalRecurrent(6, 16)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    frames = _frames()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(torch.randn(int(LENGTHS.sum()), 6), frames).sum().backward()
    optimizer.step()
    assert all(not torch.equal(before[name], value) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_autocast(dtype: torch.dtype, batch_norm: bool) -> None:
    layer = BidirectionalRecurrent(6, 16, batch_norm=batch_norm)
    frames = _frames()
    rows = torch.randn(int(LENGTHS.sum()), 6, requires_grad=True)
    exact = layer(rows, frames)
    with torch.autocast("cpu", dtype=dtype):
        rounded = layer(rows, frames)
    assert rounded.dtype == dtype
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.1)
    rounded.float().sum().backward()
    assert all(value.grad is not None and value.grad.dtype == torch.float32 for value in layer.parameters())
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


def test_double_precision_and_no_grad() -> None:
    layer = BidirectionalRecurrent(6, 16).double()
    frames = _frames()
    rows = torch.randn(int(LENGTHS.sum()), 6, dtype=torch.double)
    with torch.no_grad():
        quiet = layer(rows, frames)
    assert quiet.dtype == torch.double
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, layer(rows, frames))


def test_no_valid_frame_at_all() -> None:
    frames = Frames.of(torch.tensor([0, 0]), 3)
    assert BidirectionalRecurrent(6, 16)(torch.empty(0, 6), frames).shape == (0, 16)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu() -> None:
    layer = BidirectionalRecurrent(6, 16)
    rows = torch.randn(int(LENGTHS.sum()), 6)
    expected = layer(rows, _frames())
    expected.sum().backward()
    gradients = [value.grad.clone() for value in layer.parameters()]
    layer.zero_grad()
    layer.cuda()
    output = layer(rows.cuda(), _frames(LENGTHS.cuda()))
    output.sum().backward()
    torch.testing.assert_close(output.cpu(), expected, rtol=1e-3, atol=1e-3)
    for value, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(value.grad.cpu(), gradient, rtol=1e-2, atol=1e-2)
