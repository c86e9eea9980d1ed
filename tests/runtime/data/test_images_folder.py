"""Image folders and archives: layout, hold-out, the decoded cache, broken files."""

import io
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.broken_files import BrokenFileWarning
from dsd_runtime.data.images.caffe import VGG_MEAN
from dsd_runtime.data.images.files import ImagesOnDisk
from dsd_runtime.data.images.imagefolder import CROP_RECIPES, open_imagefolder
from dsd_runtime.data.images.recipes import recipe_named
from dsd_runtime.data.images.source import ImagesInMemory
from dsd_runtime.data.images.split import held_out


def _write(file, side, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def _make(root, *, side, per_class=20, suffix="png", test=5):
    for number, name in enumerate(("cat", "dog")):
        for index in range(per_class):
            _write(root / "train" / name / f"{index:03d}.{suffix}", side, 1000 * number + index)
        for index in range(test):
            _write(root / "test" / name / f"{index:03d}.{suffix}", side, 5000 + 1000 * number + index)
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(tmp_path):
    return _make(tmp_path / "set", side=16)


def test_small_images_are_held_in_memory(small):
    source = open_imagefolder(str(small))
    assert isinstance(source, ImagesInMemory)
    assert dict(source.sizes) == {"train": 36, "val": 4, "test": 10}
    assert source.traits.image_shape == (3, 16, 16)
    assert source.class_names == ("cat", "dog")
    assert source.splits["val"].labels.tolist() == [0, 0, 1, 1]


def test_pixels_are_the_files_own(small):
    source = open_imagefolder(str(small))
    expected = np.asarray(Image.open(small / "test" / "cat" / "000.png")).transpose(2, 0, 1)
    assert np.array_equal(source.splits["test"].images[0].numpy(), expected)


def test_the_second_opening_decodes_nothing(small, monkeypatch):
    first = open_imagefolder(str(small))
    monkeypatch.setattr("dsd_runtime.data.images.decode.decode_image", lambda *_, **__: pytest.fail("decoded again"))
    second = open_imagefolder(str(small))
    assert first.fingerprint == second.fingerprint
    assert torch.equal(first.splits["train"].images, second.splits["train"].images)


def test_a_changed_file_is_decoded_again(small):
    first = open_imagefolder(str(small)).fingerprint
    _write(small / "train" / "cat" / "000.png", 16, 99999)
    assert open_imagefolder(str(small)).fingerprint != first


def test_a_damaged_cache_is_built_again(small, cache):
    first = open_imagefolder(str(small)).fingerprint
    (array,) = cache.rglob("images.npy")
    array.write_bytes(array.read_bytes()[:-100])
    assert open_imagefolder(str(small)).fingerprint == first


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
def test_archives_are_read_in_place(small, tmp_path, ending):
    archive = tmp_path / f"pack.{ending}"
    files = sorted(small.rglob("*.png"), reverse=True)
    if ending == "zip":
        with zipfile.ZipFile(archive, "w") as pack:
            for file in files:
                pack.write(file, f"deep/{file.relative_to(small)}")
    else:
        with tarfile.open(archive, "w:gz" if ending == "tar.gz" else "w") as pack:
            for file in files:
                pack.add(file, file.relative_to(small))
    folder, packed = open_imagefolder(str(small)), open_imagefolder(str(archive))
    for split in ("train", "val", "test"):
        assert torch.equal(folder.splits[split].images, packed.splits[split].images)
        assert torch.equal(folder.splits[split].labels, packed.splits[split].labels)


def test_val_folder_wins(small):
    shutil.copytree(small / "test", small / "val")
    assert dict(open_imagefolder(str(small)).sizes) == {"train": 40, "val": 10, "test": 10}


@pytest.mark.parametrize(("val", "sizes"), [(0, (40, 0, 10)), ("test", (40, 10, 10)), (0.5, (20, 20, 10))])
def test_hold_out_can_be_chosen(small, val, sizes):
    source = open_imagefolder(str(small), val=val)
    assert tuple(source.sizes[split] for split in ("train", "val", "test")) == sizes


def test_hold_out_depends_on_names_alone():
    names, labels = [f"{index}.png" for index in range(50)], [index % 2 for index in range(50)]
    chosen = {names[index] for index in held_out(names, labels, 0.2)}
    backwards = list(reversed(names))
    assert chosen == {backwards[index] for index in held_out(backwards, list(reversed(labels)), 0.2)}
    assert len(chosen) == 10


def test_few_broken_files_are_named_and_left_out(tmp_path):
    root = _make(tmp_path / "set", side=8, per_class=60)
    (root / "train" / "cat" / "007.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"1 of 130 images.*007\.png"):
        source = open_imagefolder(str(root))
    assert sum(source.sizes.values()) == 129
    with pytest.warns(UserWarning, match="007"):  # said again when it comes from the cache
        open_imagefolder(str(root))


def test_many_broken_files_are_an_error(small):
    for name in ("003.png", "004.png"):
        (small / "train" / "dog" / name).write_bytes(b"no image")
    with pytest.raises(DsdError, match=r"2 of 50 images .*dog/003\.png"):
        open_imagefolder(str(small))


def test_mixed_sizes_ask_for_one(small):
    _write(small / "train" / "dog" / "000.png", 20, 1)
    with pytest.raises(DsdError, match="size=16"):
        open_imagefolder(str(small))
    assert open_imagefolder(str(small), size=12).traits.image_shape == (3, 12, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("empty", "no image found"),
        ("absent", "does not exist"),
        ("no_test", "training and 0 test"),
        ("class", "`bird`"),
    ],
)
def test_wrong_layouts_are_told(small, change, message):
    root = small
    if change == "empty":
        root = small / "empty"
        root.mkdir()
    elif change == "absent":
        root = small / "nothing"
    elif change == "no_test":
        shutil.rmtree(small / "test")
    else:
        _write(small / "test" / "bird" / "0.png", 16, 1)
    with pytest.raises(DsdError, match=message):
        open_imagefolder(str(root))


class TestLargeImages:
    @pytest.fixture
    def large(self, tmp_path):
        root = tmp_path / "large"
        _make(root, side=80, per_class=8, suffix="jpg", test=3)
        _write(root / "train" / "cat" / "000.jpg", 90, 7)
        return root

    def test_decoded_as_needed_in_the_same_order_for_any_number_of_workers(self, large):
        source = open_imagefolder(str(large), side=32, val=0.25)
        assert isinstance(source, ImagesOnDisk)
        assert dict(source.sizes) == {"train": 12, "val": 4, "test": 6}
        plain = list(source.train_batches(batch_size=5, epoch=1, key=2))
        threads = list(source.train_batches(batch_size=5, epoch=1, key=2, workers=3))
        assert [tuple(batch.images.shape) for batch in plain] == [(5, 3, 32, 32), (5, 3, 32, 32), (2, 3, 32, 32)]
        for one, other in zip(plain, threads, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)
        (last,) = source.train_batches(batch_size=5, epoch=1, key=2, skip=2)
        assert torch.equal(last.images, plain[2].images)

    def test_evaluation_is_the_centre(self, large):
        source = open_imagefolder(str(large), side=70)
        batches = list(source.evaluation_batches("test", batch_size=4, workers=2))
        assert torch.cat([batch.labels for batch in batches]).tolist() == [0, 0, 0, 1, 1, 1]
        image = Image.open(large / "test" / "cat" / "000.jpg").convert("RGB")  # 80 pixels is 70 * 256 / 224 itself
        centre = torch.from_numpy(np.asarray(image).transpose(2, 0, 1)[:, 5:75, 5:75].copy()).float() / 255
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        expected = (centre - mean[:, None, None]) / deviation[:, None, None]
        assert torch.allclose(batches[0].images[0], expected, atol=1e-5)

    @pytest.mark.parametrize(("recipe", "mean"), [("googlenet", (123, 117, 104)), ("vgg", (123.68, 116.779, 103.939))])
    def test_the_caffe_recipes_stretch_crop_and_subtract_the_mean(self, large, recipe, mean):
        source = open_imagefolder(str(large), side=70, recipe=recipe)  # stretched to 80 pixels, which is their own size
        image = Image.open(large / "test" / "cat" / "000.jpg").convert("RGB")
        whole = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()) - torch.tensor(mean)[:, None, None]
        tested = next(source.evaluation_batches("test", batch_size=4)).images[0]
        assert torch.equal(tested, whole[:, 5:75, 5:75])
        assert source.recipe.resize == 80

    def test_caffe_crops_are_anywhere_mirrored_and_repeatable(self, large):
        recipe = recipe_named("vgg", side=70, augment=True)
        image = Image.open(large / "test" / "cat" / "000.jpg").convert("RGB")
        whole = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()) - torch.tensor(VGG_MEAN)[:, None, None]
        windows = {
            (top, left, mirrored): window.flip(-1) if mirrored else window
            for top in range(11)
            for left in range(11)
            for window in (whole[:, top : top + 70, left : left + 70],)
            for mirrored in (False, True)
        }
        drawn = [recipe.training(image, torch.Generator().manual_seed(seed)) for seed in range(60)]
        found = [next(place for place, window in windows.items() if torch.equal(window, one)) for one in drawn]
        assert {top for top, _, _ in found} == {left for _, left, _ in found} == set(range(11))
        assert 15 < sum(mirrored for _, _, mirrored in found) < 45
        assert torch.equal(drawn[7], recipe.training(image, torch.Generator().manual_seed(7)))

    def test_an_oblong_photograph_is_stretched_to_a_square(self):
        recipe = recipe_named("googlenet", side=224, augment=False)
        columns = np.repeat(np.arange(0, 512, dtype=np.uint16)[None, :, None] // 2, 300, axis=0).astype(np.uint8)
        image = Image.fromarray(np.repeat(columns, 3, axis=2))
        shown = recipe.training(image, torch.Generator()) + torch.tensor([123.0, 117, 104])[:, None, None]
        assert shown.shape == (3, 224, 224)
        assert torch.allclose(shown[0, 100], torch.arange(16.0, 240), atol=1.0)

    def test_recipes_are_part_of_the_fingerprint_and_checked(self, large, small):
        prints = {open_imagefolder(str(large), side=32, recipe=name).fingerprint for name in CROP_RECIPES}
        assert len(prints) == len(CROP_RECIPES) == 3
        for folder in (large, small):
            with pytest.raises(DsdError, match=r"no recipe `vg`(.|\n)*did you mean `vgg`"):
                open_imagefolder(str(folder), recipe="vg")

    def test_a_broken_file_is_named_once_then_too_many(self, large):
        (large / "test" / "cat" / "001.jpg").write_bytes(b"no image")
        source = open_imagefolder(str(large), side=32)
        with pytest.warns(UserWarning, match=r"cat/001\.jpg"):
            assert sum(len(batch) for batch in source.evaluation_batches("test", batch_size=4)) == 5
        content = io.BytesIO((large / "test" / "dog" / "001.jpg").read_bytes()).getvalue()
        (large / "test" / "dog" / "001.jpg").write_bytes(content[:200])
        with pytest.raises(DsdError, match=r"dog/001\.jpg"):
            list(source.evaluation_batches("test", batch_size=4))


def test_a_picture_in_disguise_is_not_opened(tmp_path):
    """Pillow would start Ghostscript for PostScript, whatever the file is called; a bomb is not decoded."""
    root = _make(tmp_path / "set", side=80, per_class=120, test=2)
    (root / "train" / "cat" / "000.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")
    Image.new("1", (10_000, 9_000)).save(root / "train" / "dog" / "000.png")
    source = open_imagefolder(str(root), side=32)
    with pytest.warns(BrokenFileWarning) as told:
        list(source.train_batches(batch_size=64, epoch=0, key=0))
    assert {path.name for path in source.broken.paths} == {"000.png"}
    assert any("10000x9000 pixels" in str(warning.message) for warning in told)


def test_a_pipe_among_the_pictures_is_refused(small):
    os.mkfifo(small / "train" / "cat" / "pipe.png")
    with pytest.raises(DsdError, match=r"pipe\.png` is a named pipe"):
        open_imagefolder(str(small))
