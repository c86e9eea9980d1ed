"""Data replaced under the same name, size and time is other data, and is trained on anew."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from .conftest import Run

SCHEDULE = "dense 1ep lr=0.1\n"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("dsd_runtime.storage.content._FRESH_NS", -1)


def write_pictures(root: Path, *, side: int) -> Path:
    """Pictures of one colour, in a format whose files are all of one size."""
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for shade, name in enumerate(("dark", "light")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (side, side), (120 * shade + number, 0, 0)).save(folder / f"{number}.bmp")
    return root


def exchange(one: Path, other: Path) -> None:
    """Swaps two files' contents; names, sizes and times stay."""
    contents = one.read_bytes(), other.read_bytes()
    assert len(contents[0]) == len(contents[1])
    for path, content in zip((other, one), contents, strict=True):
        before = path.stat()
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(("side", "options"), [(8, ""), (72, ",side=32")])
def test_exchanged_pictures_are_trained_on_anew(dsd_run: Run, tmp_path: Path, side: int, options: str) -> None:
    root = write_pictures(tmp_path / "set", side=side)
    base = ("--model", "lenet_300_100", "--data", f"imagefolder:{root}{options}", "--progress", "none")
    assert [dsd_run(SCHEDULE, base=base).states() for _ in range(2)] == [["trained"], ["reused"]]
    exchange(root / "train" / "dark" / "0.bmp", root / "train" / "light" / "0.bmp")
    assert dsd_run(SCHEDULE, base=base).states() == ["trained"]
    assert dsd_run(SCHEDULE, base=base).states() == ["reused"]


def test_an_exchanged_archive_is_trained_on_anew(dsd_run: Run, tmp_path: Path) -> None:
    root, archive = write_pictures(tmp_path / "set", side=8), tmp_path / "set.tar"

    def pack() -> None:
        with tarfile.open(archive, "w") as written:
            written.add(root, "set")
        os.utime(archive, ns=(1, 1))

    pack()
    base = ("--model", "lenet_300_100", "--data", f"imagefolder:{archive}", "--progress", "none")
    assert [dsd_run(SCHEDULE, base=base).states() for _ in range(2)] == [["trained"], ["reused"]]
    exchange(root / "train" / "dark" / "0.bmp", root / "train" / "light" / "0.bmp")
    size = archive.stat().st_size
    pack()
    assert (archive.stat().st_size, archive.stat().st_mtime_ns) == (size, 1)
    assert dsd_run(SCHEDULE, base=base).states() == ["trained"]
