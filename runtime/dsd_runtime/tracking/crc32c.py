"""CRC-32C, the checksum of TensorBoard's records: tensorboard's own loops over bytes in Python."""

from __future__ import annotations

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78
_AT_ONCE = 512
_ALL = 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The checksum as records have it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _ALL


def crc32c(data: bytes) -> int:
    """The checksum of Castagnoli's polynomial, some bytes at once: it is linear, so each byte adds its own part."""
    parts, crc = _parts(), _ALL
    values = np.frombuffer(data, dtype=np.uint8)
    for begin in range(0, len(values), _AT_ONCE):
        some = values[begin : begin + _AT_ONCE].copy()
        length = len(some)
        before = np.frombuffer(crc.to_bytes(4, "little"), dtype=np.uint8)[:length]
        some[: len(before)] ^= before
        left = crc >> (8 * length)  # of a part that is shorter than the checksum
        crc = left ^ int(np.bitwise_xor.reduce(parts[np.arange(length - 1, -1, -1), some]))
    return crc ^ _ALL


@cache
def _parts() -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    """What each byte adds, by the number of bytes that follow it."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(_POLYNOMIAL), first >> 1)
    rows = [first]
    for _ in range(_AT_ONCE - 1):
        rows.append((rows[-1] >> 8) ^ first[rows[-1] & 0xFF])
    return np.stack(rows)
