"""How the threads of torch's OpenMP wait for each other, which is decided when torch is loaded; imports no torch.

While they spin, they keep every other process from their cores, and each other on a busy machine. By default they do so
for milliseconds, longer than an operation takes. How they wait changes no number.
"""

from __future__ import annotations

from collections.abc import Mapping

_OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_SHORT = "1000"
"""Some ten microseconds: enough to bridge the gap between two operations."""


def quiet_threads(environment: Mapping[str, str], *, is_alone: bool) -> dict[str, str]:
    """What to add to the environment: nothing where the user has decided.

    A process that trains alone (``is_alone``) spins for a moment, one of several workers not at all.
    """
    if any(name in environment for name in _OWN):
        return {}
    return {"GOMP_SPINCOUNT": _SHORT} if is_alone else {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
