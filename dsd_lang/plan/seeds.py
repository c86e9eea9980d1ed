"""Groups the branches that a `fork seeds=N` makes: `dsd.seed0`, `dsd.seed1`, ... are the seeds of the arm `dsd`."""

from __future__ import annotations

import re

_SEED = re.compile(r"\.seed\d+(?!\w)")


def arm_of(path: str) -> str:
    """The path of a branch without its seeds.

    >>> arm_of("dsd.seed0"), arm_of("grid[25%].seed3.late"), arm_of("")
    ('dsd', 'grid[25%].late', '')
    """
    return _SEED.sub("", path)
