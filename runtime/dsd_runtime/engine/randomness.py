"""Derives one key for each stream of random numbers.

A key is a function of (seed, seed index, stream, position), so that branches that share a stream share its numbers, and
no stream depends on how many numbers another has drawn.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

Stream = Literal["init", "data", "dropout", "mask", "noise"]


def stream_key(seed: int, seed_index: int, stream: Stream, position: str = "") -> int:
    """A 63-bit key for `torch.manual_seed` and for generators."""
    text = json.dumps([seed, seed_index, stream, position])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
