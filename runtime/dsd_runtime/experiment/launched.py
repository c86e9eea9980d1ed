"""Whether `torchrun` has started this process, as its environment says; imports no torch."""

from __future__ import annotations

import os

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.request import Request

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def is_launched() -> bool:
    """Whether this process was started by `torchrun`, perhaps alone."""
    return all(name in os.environ for name in _NAMES)


def is_one_of_several() -> bool:
    """Whether this is one of several processes of one run."""
    return is_launched() and int(os.environ["WORLD_SIZE"]) > 1


def is_silent() -> bool:
    """Whether another process of the run says what this one would."""
    return is_one_of_several() and os.environ["RANK"] != "0"


def require_launched(request: Request) -> None:
    """Raises :class:`DsdError` for flags that need several processes, or that need to be one."""
    for flag, is_given in (("--shard", request.is_sharded), ("--sync-batchnorm", request.syncs_batch_norm)):
        if is_given and not is_launched():
            raise DsdError(
                f"`{flag}` needs several processes",
                help="start them: `torchrun --nproc-per-node 2 -m dsd_runtime SCHEDULE ...`",
            )
    sides = {"--jobs": request.jobs > 1, "--ray": request.ray is not None, "--slurm": request.slurm is not None}
    for flag, is_given in sides.items():
        if is_given and is_one_of_several():
            raise DsdError(
                f"`{flag}` trains phases side by side, and torchrun's processes train each phase together",
                help="leave one of them out",
            )
