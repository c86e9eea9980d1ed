"""Layers that see only the valid frames of a padded batch, so that results do not depend on padding.

Between layers, speech is *packed*: one row for each valid frame, frame-major. Padding is then absent instead of masked,
also from batch-norm statistics.

Shape legend: N samples, T frames of the longest, M valid frames of all samples together, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def valid_positions(lengths: Tensor, longest: int, device: torch.device) -> Tensor:
    """The flat indices of what is valid in [N, longest], sample by sample; see :meth:`Frames.of` for the devices.

    >>> valid_positions(torch.tensor([1, 2]), 3, torch.device("cpu"))
    tensor([0, 3, 4])
    """
    rows, columns = _valid(lengths, longest, device, batch_first=True).unbind(1)
    return rows * longest + columns


def _valid(lengths: Tensor, longest: int, device: torch.device | None, *, batch_first: bool) -> Tensor:
    there = lengths.to(device, non_blocking=True)
    clock = torch.arange(longest, device=there.device)
    is_valid = clock[None, :] < there[:, None] if batch_first else clock[:, None] < there[None, :]
    if there.device.type == "cpu":
        return torch.nonzero(is_valid)
    return torch.nonzero_static(is_valid, size=int(lengths.clamp(0, longest).sum()))


@dataclass(frozen=True, slots=True)
class Frames:
    """The valid frames of the T x N padded ones: ``times`` [M] and ``samples`` [M], ordered by time, then sample."""

    num_frames: int
    num_samples: int
    lengths: Tensor
    times: Tensor
    samples: Tensor

    @staticmethod
    def of(lengths: Tensor, num_frames: int, device: torch.device | None = None) -> Frames:
        """The valid frames of samples with these ``lengths`` [N], padded to ``num_frames``, for tensors on ``device``.

        If the lengths are on the CPU, the host does not wait for the device.
        """
        times, samples = _valid(lengths, num_frames, device, batch_first=False).unbind(1)
        return Frames(num_frames, int(lengths.shape[0]), lengths, times, samples)

    @property
    def batch_first_rows(self) -> Tensor:
        """Rows [M] of the valid frames in a tensor flattened from [N, T, ...]."""
        return self.samples * self.num_frames + self.times

    def pack(self, padded: Tensor) -> Tensor:
        """[N, T, F] to the valid rows [M, F]."""
        return padded.flatten(0, 1).index_select(0, self.batch_first_rows)

    def unpack(self, rows: Tensor) -> Tensor:
        """[M, F] to [N, T, F] with zeros at the padding."""
        flat = rows.new_zeros(self.num_samples * self.num_frames, rows.shape[1])
        filled = flat.index_copy(0, self.batch_first_rows, rows)
        return filled.view(self.num_samples, self.num_frames, rows.shape[1])
