"""Deep Speech 1 and 2 with the paper's parameters (Tables 6 and 8): CTC logits from spectrograms.

``model(features [N, T, F], lengths [N]) -> (logits [N, T', S], lengths' [N])``; logits are 0 at the padding. Padding
reaches no valid frame and no batch-norm statistic, so in evaluation a sample's logits do not depend on its batch. If
the lengths are on the CPU and the features on a GPU, the host does not wait for it (``takes_host_lengths``).

Shape legend: N samples, T frames, T' output frames, F feature bins, H hidden units, S symbols with the blank,
C convolution channels, M valid output frames of the batch (packed rows, see frames.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dsd_runtime.engine.layers import tag
from dsd_runtime.models.frames import Frames
from dsd_runtime.models.recurrent import BidirectionalRecurrent, clipped_relu

KERNEL_FRAMES = 11


def _initialise(layers: Sequence[nn.Module], output: nn.Linear) -> None:
    """He-uniform weights before a (clipped) ReLU, PyTorch's smaller uniform for the output layer; zero biases."""
    for layer in (*layers, output):
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5 if layer is output else 0.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm1d | BidirectionalRecurrent):
            layer.reset_parameters()


class DeepSpeech1(nn.Module):
    """Convolution over time, two dense layers, one bidirectional recurrent layer, one dense layer, the symbols.

    8,139,805 parameters at the defaults. The convolution is `valid`: T' = (T - 11) // stride + 1.
    """

    takes_host_lengths = True

    def __init__(
        self, *, features: int = 161, hidden: int = 1024, symbols: int = 29, stride: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(features, hidden, KERNEL_FRAMES, stride)
        self.fc1 = nn.Linear(hidden, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.birnn3 = BidirectionalRecurrent(hidden, hidden)
        self.fc4 = nn.Linear(hidden, hidden)
        self.ctc = nn.Linear(hidden, symbols)
        self.dropout = nn.Dropout(dropout)
        tag(self.ctc, kind="ctc", role="output")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _initialise((self.conv, self.fc1, self.fc2, self.birnn3, self.fc4), self.ctc)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """The output frames of samples with so many frames; by them several processes share the dropout of a batch."""
        return ((lengths - KERNEL_FRAMES) // self.stride + 1).clamp(min=0)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        missing = KERNEL_FRAMES - features.shape[1]
        if missing > 0:
            features = nn.functional.pad(features, (0, 0, 0, missing))
        lengths = self.output_lengths(lengths)
        convolved = self.conv(features.transpose(1, 2)).transpose(1, 2)
        frames = Frames.of(lengths, convolved.shape[1], features.device)
        rows = clipped_relu(frames.pack(convolved))
        rows = self.dropout(clipped_relu(self.fc1(rows)))
        rows = self.dropout(clipped_relu(self.fc2(rows)))
        rows = self.birnn3(rows, frames)
        rows = self.dropout(clipped_relu(self.fc4(rows)))
        return frames.unpack(self.ctc(rows)), lengths


def _convolved_bins(features: int) -> tuple[int, int]:
    """The number of frequency bins after each of Deep Speech 2's convolutions (161 -> 81 -> 41)."""
    first = (features - 1) // 2 + 1
    return first, (first - 1) // 2 + 1


class DeepSpeech2(nn.Module):
    """Two convolutions, ``layers`` bidirectional recurrent layers, one dense layer, the symbols; batch norm throughout.

    67,740,758 parameters at the defaults with 54 symbols. T' = ceil(T / 2).
    """

    takes_host_lengths = True

    def __init__(
        self, *, features: int = 161, hidden: int = 1760, layers: int = 7, channels: int = 32, symbols: int = 54
    ) -> None:
        super().__init__()
        bins = _convolved_bins(features)
        self.conv0 = nn.Conv2d(1, channels, (41, KERNEL_FRAMES), (2, 2), (20, 5), bias=False)
        self.norm0 = nn.BatchNorm1d(bins[0] * channels)
        self.conv1 = nn.Conv2d(channels, channels, (21, KERNEL_FRAMES), (2, 1), (10, 5), bias=False)
        self.norm1 = nn.BatchNorm1d(bins[1] * channels)
        widths = [bins[1] * channels] + [hidden] * (layers - 1)
        self.birnn = nn.ModuleList(BidirectionalRecurrent(width, hidden, batch_norm=True) for width in widths)
        self.fc = nn.Linear(hidden, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.ctc = nn.Linear(hidden, symbols)
        tag(self.ctc, kind="ctc", role="output")
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _initialise((self.conv0, self.norm0, self.conv1, self.norm1, *self.birnn, self.fc, self.norm), self.ctc)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        clock = torch.arange(features.shape[1], device=features.device)
        is_padding = clock >= lengths.to(features.device, non_blocking=True)[:, None]
        features = features.masked_fill(is_padding[:, :, None], 0.0)
        lengths = torch.div(lengths + 1, 2, rounding_mode="floor")
        frames = Frames.of(lengths, (features.shape[1] + 1) // 2, features.device)
        images = features.transpose(1, 2).unsqueeze(1)
        rows = self._normed_rows(self.conv0, self.norm0, images, frames)
        rows = self._normed_rows(self.conv1, self.norm1, self._images(rows, frames), frames)
        for layer in self.birnn:
            rows = layer(rows, frames)
        rows = clipped_relu(self.norm(self.fc(rows)))
        return frames.unpack(self.ctc(rows)), lengths

    @staticmethod
    def _normed_rows(conv: nn.Module, norm: nn.Module, images: Tensor, frames: Frames) -> Tensor:
        """[N, C, F, T] through a convolution, batch norm per (bin, channel) over valid frames and clipping: [M, F*C].

        Uses channels-last memory, in which convolutions on CPUs and tensor cores are fastest.
        """
        convolved = conv(images.contiguous(memory_format=torch.channels_last))
        return clipped_relu(norm(frames.pack(convolved.permute(0, 3, 2, 1).flatten(2))))

    def _images(self, rows: Tensor, frames: Frames) -> Tensor:
        """[M, F*C] back to [N, C, F, T], zero at the padding, as if each sample were alone."""
        padded = frames.unpack(rows)
        return padded.view(*padded.shape[:2], -1, self.conv0.out_channels).permute(0, 3, 2, 1)
