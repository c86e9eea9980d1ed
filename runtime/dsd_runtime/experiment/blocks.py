"""Which parts of a network FSDP2 gathers one after another: its large repeated blocks; the rest is one group.

Fewer weights are whole at a time then. A block is a member of a `ModuleList` or `Sequential`, which is called for what
it computes; a network may use the weights of any other module without calling it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from torch import nn

LARGE = 1_000_000


def blocks_of(model: nn.Module, *, large: int = LARGE) -> list[nn.Module]:
    """The outermost members of lists with at least so many weights, none of which the rest of the network has too."""
    owners = Counter(id(weight) for module in model.modules() for weight in module.parameters(recurse=False))
    return [block for block in dict.fromkeys(_members(model)) if _is_large(block, large) and not _shares(block, owners)]


def shard(computing: nn.Module, blocks: Iterable[nn.Module]) -> None:
    """Shards a module over all processes: each block is a group of its own, and the rest is one."""
    from torch.distributed.fsdp import fully_shard

    for block in blocks:
        fully_shard(block)
    fully_shard(computing)


def _members(module: nn.Module) -> Iterator[nn.Module]:
    """Members of lists from the outside in; what is inside of a member that can be called is its own business."""
    for child in module.children():
        is_list = isinstance(child, nn.ModuleList | nn.Sequential)
        if isinstance(module, nn.ModuleList | nn.Sequential) and not is_list:
            yield child
        else:
            yield from _members(child)


def _is_large(block: nn.Module, large: int) -> bool:
    return sum(weight.numel() for weight in block.parameters()) >= large


def _shares(block: nn.Module, owners: Counter[int]) -> bool:
    """Whether a weight of the block, or the block itself, is used elsewhere too."""
    own = Counter(id(weight) for module in block.modules() for weight in module.parameters(recurse=False))
    return any(owners[weight] != count for weight, count in own.items())
