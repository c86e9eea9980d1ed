"""The DS1/DS2 recurrent layer against `nn.RNN(H, H, bidirectional=True, nonlinearity="relu")`: forward and backward.

    python benchmarks/recurrent_speed.py [--rounds 9] [--threads 2] [--sizes 384x150x16 1760x60x16]

Rounds are interleaved in one process; medians in milliseconds, and the ratio to keep at or below 1.5.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dsd_runtime.models.frames import Frames
from dsd_runtime.models.recurrent import BidirectionalRecurrent

LIMIT = 1.5


def _ours(hidden: int, frames: int, samples: int, *, batch_norm: bool) -> Callable[[], Tensor]:
    layer = BidirectionalRecurrent(hidden, hidden, batch_norm=batch_norm)
    valid = Frames.of(torch.full((samples,), frames), frames)
    rows = torch.randn(frames * samples, hidden, requires_grad=True)
    return lambda: layer(rows, valid)


def _peer(hidden: int, frames: int, samples: int) -> Callable[[], Tensor]:
    layer = nn.RNN(hidden, hidden, bidirectional=True, nonlinearity="relu")
    inputs = torch.randn(frames, samples, hidden, requires_grad=True)

    def run() -> Tensor:
        output: Tensor = layer(inputs)[0]
        return output

    return run


def _forward_backward_ms(run: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    torch.autograd.backward(run().sum())
    return (time.perf_counter() - start) * 1e3


def measure(hidden: int, frames: int, samples: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of one forward and backward pass: ours, ours with batch norm, `nn.RNN`."""
    arms = {
        "ours": _ours(hidden, frames, samples, batch_norm=False),
        "ours+bn": _ours(hidden, frames, samples, batch_norm=True),
        "nn.RNN": _peer(hidden, frames, samples),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    for run in arms.values():
        _forward_backward_ms(run)
    for _ in range(rounds):
        for name, run in arms.items():
            times[name].append(_forward_backward_ms(run))
    return {name: statistics.median(values) for name, values in times.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", nargs="+", default=["384x150x16", "1760x60x16"], metavar="HxTxN")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(f"{'H x T x N':>14} {'ours':>9} {'ours+bn':>9} {'nn.RNN':>9} {'ratio':>6} {'bn ratio':>8}")
    print(f"(milliseconds; the ratios are to stay at or below {LIMIT})")
    for size in options.sizes:
        hidden, frames, samples = map(int, size.split("x"))
        ms = measure(hidden, frames, samples, options.rounds)
        peer = ms["nn.RNN"]
        print(
            f"{size:>14} {ms['ours']:9.1f} {ms['ours+bn']:9.1f} {peer:9.1f} "
            f"{ms['ours'] / peer:6.2f} {ms['ours+bn'] / peer:8.2f}"
        )


if __name__ == "__main__":
    main()
