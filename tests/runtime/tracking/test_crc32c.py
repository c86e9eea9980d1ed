"""Checksums of TensorBoard's records."""

from __future__ import annotations

import random

import pytest

from dsd_runtime.tracking.crc32c import crc32c, masked_crc32c

tensorboard = pytest.importorskip("tensorboard.compat.tensorflow_stub.pywrap_tensorflow")


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (b"a", 0xC1D04330)],
)
def test_the_checksums_of_the_standard(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@pytest.mark.parametrize("length", [1, 3, 4, 5, 511, 512, 513, 515, 516, 1024, 3000])
def test_it_is_that_of_tensorboard(length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert masked_crc32c(data) == tensorboard.masked_crc32c(data)
