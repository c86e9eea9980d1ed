"""CIFAR-10's binary version, byte for byte; pickles are refused."""

import tarfile

import numpy as np
import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.images.augment import CIFAR
from dsd_runtime.data.images.cifar10 import CLASSES, open_cifar10


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def binary(tmp_path):
    """Two training files of 40 records and a test file of 20, with their labels and pixels."""
    root = tmp_path / "cifar-10-batches-bin"
    root.mkdir()
    draws = np.random.default_rng(0)
    written = {}
    for name, count in (("data_batch_1.bin", 40), ("data_batch_2.bin", 40), ("test_batch.bin", 20)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        pixels = draws.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        np.concatenate([labels[:, None], pixels.reshape(count, -1)], axis=1).tofile(root / name)
        written[name] = (labels, pixels)
    return root, written


def test_round_trip(binary):
    root, written = binary
    source = open_cifar10(str(root), val=0)
    labels = np.concatenate([written[name][0] for name in ("data_batch_1.bin", "data_batch_2.bin")])
    pixels = np.concatenate([written[name][1] for name in ("data_batch_1.bin", "data_batch_2.bin")])
    assert np.array_equal(source.splits["train"].images.numpy(), pixels)
    assert np.array_equal(source.splits["train"].labels.numpy(), labels)
    assert np.array_equal(source.splits["test"].images.numpy(), written["test_batch.bin"][1])
    assert source.class_names == CLASSES
    assert source.augmentation == CIFAR


def test_archive_of_the_binary_version(binary, tmp_path):
    root, _ = binary
    archive = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as pack:
        pack.add(root, root.name)
    assert open_cifar10(str(archive)).fingerprint == open_cifar10(str(root)).fingerprint


def test_hold_out_is_stratified(binary):
    source = open_cifar10(str(binary[0]), val=0.25)
    assert source.splits["val"].labels.bincount().tolist() == [2] * 10


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py"])
def test_pickles_are_refused(tmp_path, name):
    root = tmp_path / name
    if name.endswith("gz"):
        root.write_bytes(b"")
    else:
        root.mkdir()
    with pytest.raises(DsdError, match="python pickles"):
        open_cifar10(str(root))


def test_pickles_are_refused_inside_a_folder_too(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02}q\x01.")
    with pytest.raises(DsdError, match="python pickles"):
        open_cifar10(str(tmp_path))


def test_a_cut_off_file_is_told(binary):
    root, _ = binary
    file = root / "data_batch_2.bin"
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(DsdError, match=r"data_batch_2\.bin.*not a whole number"):
        open_cifar10(str(root))


@pytest.mark.slow
def test_the_real_images(shared_data):
    source = open_cifar10(str(shared_data / "cifar10_images.tar.gz"))
    assert dict(source.sizes) == {"train": 45000, "val": 5000, "test": 10000}
    assert source.splits["test"].labels.bincount().tolist() == [1000] * 10
    assert source.splits["val"].labels.bincount().tolist() == [500] * 10
