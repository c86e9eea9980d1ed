"""The processes that share one model, and what they tell each other: sums, rows of numbers, the first error.

Every method is a collective operation: all processes call it, in the same order. One process sends nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dsd_runtime.masks.radix import Counts

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Processes:
    """The processes of a group; None is this process alone."""

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self.group = group
        self.count, self.index = 1, 0
        if group is not None:
            import torch.distributed as dist

            self.count, self.index = dist.get_world_size(group), dist.get_rank(group)

    def sum(self, counts: Counts) -> Counts:
        """The sum of whole numbers over all processes."""
        if self.count == 1:
            return counts
        import torch.distributed as dist

        total = torch.from_numpy(counts).to(self._device, copy=True)
        dist.all_reduce(total, group=self.group)
        return total.cpu().numpy()

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, the same on each; a tensor of its own if there are several."""
        if self.count == 1:
            return values
        import torch.distributed as dist

        own = values.to(self._device, copy=True)
        dist.all_reduce(own, group=self.group)
        return own.to(values.device)

    def is_equal(self, row: Tensor) -> bool:
        """Whether a row of int64 numbers is the same on all processes: its largest and smallest values agree."""
        if self.count == 1:
            return True
        import torch.distributed as dist

        bounds = torch.cat([row, -row]).to(self._device)
        dist.all_reduce(bounds, op=dist.ReduceOp.MAX, group=self.group)
        largest, smallest = bounds[: row.numel()], -bounds[row.numel() :]
        return bool((largest == smallest).all())

    def same(self, text: str) -> bool:
        """Whether a text is the same on all processes."""
        digest = torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.int64)
        return self.is_equal(digest)

    def gathered(self, row: Tensor) -> Tensor:
        """The rows of all processes, stacked in their order, on the CPU; all are of one shape and dtype."""
        if self.count == 1:
            return row.cpu()[None]
        import torch.distributed as dist

        own = row.to(self._device)
        rows = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(rows, own, group=self.group)
        return torch.stack(rows).cpu()

    def first(self, text: str | None) -> str | None:
        """The text of the first process that has one; None if none has."""
        if self.count == 1:
            return text
        encoded = b"" if text is None else text.encode()
        lengths = self.gathered(torch.tensor([-1 if text is None else len(encoded)]))[:, 0].tolist()
        speakers = [index for index, length in enumerate(lengths) if length >= 0]
        if not speakers:
            return None
        said = self._padded(encoded, max(lengths))[speakers[0]]
        return bytes(said.tolist())[: lengths[speakers[0]]].decode()

    def every(self, text: bytes) -> list[bytes]:
        """The bytes of every process, in their order."""
        if self.count == 1:
            return [text]
        lengths = self.gathered(torch.tensor([len(text)]))[:, 0].tolist()
        rows = self._padded(text, max(lengths))
        return [row[:length].numpy().tobytes() for row, length in zip(rows, lengths, strict=True)]

    def _padded(self, text: bytes, length: int) -> Tensor:
        padded = text.ljust(length, b"\0")
        return self.gathered(torch.frombuffer(bytearray(padded or b"\0"), dtype=torch.uint8))

    @property
    def _device(self) -> torch.device:
        """Where the group's backend expects what is sent."""
        import torch.distributed as dist

        if "gloo" in dist.get_backend(self.group) or not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", torch.cuda.current_device())


ONE = Processes()
