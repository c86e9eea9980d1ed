"""NeuralTalk's LSTM as one matrix, without an autograd graph for each time step.

Gates are in the order I, F, O, G (i, f, o through a sigmoid, g through tanh); c[t] = i g + f c[t-1] and h[t] = o c[t]
(no tanh on c); both start at 0. The input half of the product is computed for all steps at once, so the loop has only
the recurrent half. In the backward pass, everything that does not depend on the next step is computed for all steps at
once.

Shape legend: T steps, N samples, H hidden units; gates [T, N, 4, H].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dsd_runtime.engine.layers import tag

INPUT, FORGET, OUTPUT, CANDIDATE = range(4)


def _activate(gates: Tensor) -> Tensor:
    gates[..., :CANDIDATE, :].sigmoid_()
    gates[..., CANDIDATE, :].tanh_()
    return gates


def _run(gates: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor]:
    """Activates ``gates`` in place, step by step; returns the cells and the hidden states [T, N, H]."""
    steps, samples, _, units = gates.shape
    cells, hidden = gates.new_empty(steps, samples, units), gates.new_empty(steps, samples, units)
    transposed = recurrent.t()
    for step in range(steps):
        gate = gates[step]
        if step:
            gate.view(samples, -1).addmm_(hidden[step - 1], transposed)
        _activate(gate)
        cell = torch.mul(gate[:, INPUT], gate[:, CANDIDATE], out=cells[step])
        if step:
            cell.addcmul_(gate[:, FORGET], cells[step - 1])
        torch.mul(gate[:, OUTPUT], cell, out=hidden[step])
    return cells, hidden


def _local_slopes(gates: Tensor, cells: Tensor) -> Tensor:
    """The factors that turn (dc, dc, dh, dc) into the gradient of each gate before its activation: [T, N, 4, H]."""
    slopes = gates * (1 - gates)
    candidate = gates[:, :, CANDIDATE]
    slopes[:, :, INPUT] *= candidate
    slopes[0, :, FORGET] = 0
    slopes[1:, :, FORGET] *= cells[:-1]
    slopes[:, :, OUTPUT] *= cells
    torch.mul(gates[:, :, INPUT], 1 - candidate * candidate, out=slopes[:, :, CANDIDATE])
    return slopes


def _run_gradients(gradient: Tensor, gates: Tensor, cells: Tensor, recurrent: Tensor) -> Tensor:
    """The gradient of the gates before their activation, [T, N, 4, H], from that of the hidden states."""
    slopes = _local_slopes(gates, cells)
    samples = gates.shape[1]
    hidden_gradient, cell_gradient = gradient[-1], torch.zeros_like(gradient[0])
    for step in range(gates.shape[0] - 1, -1, -1):
        slope, gate = slopes[step], gates[step]
        cell_gradient.addcmul_(hidden_gradient, gate[:, OUTPUT])
        slope[:, :OUTPUT] *= cell_gradient.unsqueeze(1)
        slope[:, OUTPUT] *= hidden_gradient
        slope[:, CANDIDATE] *= cell_gradient
        if step:
            cell_gradient = cell_gradient * gate[:, FORGET]
            hidden_gradient = torch.addmm(gradient[step - 1], slope.view(samples, -1), recurrent)
    return slopes


class _LstmRecurrence(torch.autograd.Function):
    """Projection [T, N, 4H] and the recurrent matrix [4H, H] to hidden states [T, N, H]."""

    @staticmethod
    def forward(ctx: Any, projection: Tensor, recurrent: Tensor) -> Tensor:
        gates = projection.clone(memory_format=torch.contiguous_format).view(*projection.shape[:2], 4, -1)
        with torch.autocast(projection.device.type, enabled=False):
            cells, hidden = _run(gates, recurrent)
        ctx.save_for_backward(gates, cells, hidden, recurrent)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        gates, cells, hidden, recurrent = ctx.saved_tensors
        with torch.autocast(gradient.device.type, enabled=False):
            flat = _run_gradients(gradient, gates, cells, recurrent).flatten(2)
            matrix = flat[1:].flatten(0, 1).t() @ hidden[:-1].flatten(0, 1) if ctx.needs_input_grad[1] else None
        return flat, matrix


@torch.compiler.disable  # type: ignore[untyped-decorator]
def lstm_recurrence(projection: Tensor, recurrent: Tensor) -> Tensor:
    """Hidden states [T, N, H] of the LSTM above, from zero states; differentiable once in both arguments."""
    result: Tensor = _LstmRecurrence.apply(projection, recurrent)
    return result


class CaptionLstm(nn.Module):
    """``layer(inputs [T, N, H]) -> [T, N, H]``: one matrix [4H, H + H] (input columns, then recurrent) and one bias."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(torch.empty(4 * hidden_size, 2 * hidden_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        tag(self, kind="lstm")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in +-0.1, bias included (the published code draws it as row 0 of the same matrix)."""
        nn.init.uniform_(self.weight, -0.1, 0.1)
        nn.init.uniform_(self.bias, -0.1, 0.1)

    def forward(self, inputs: Tensor) -> Tensor:
        input_columns, recurrent_columns = self.weight.tensor_split(2, dim=1)
        projection = functional.linear(inputs, input_columns, self.bias)
        hidden: Tensor = lstm_recurrence(projection, recurrent_columns.to(projection.dtype))
        return hidden

    def step(self, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """One step [N, H] from a state (h, c) to the next."""
        gates = functional.linear(torch.cat((inputs, hidden), dim=1), self.weight, self.bias)
        gates = _activate(gates.view(-1, 4, self.hidden_size).clone())
        cell = gates[:, INPUT] * gates[:, CANDIDATE] + gates[:, FORGET] * cell
        return gates[:, OUTPUT] * cell, cell
