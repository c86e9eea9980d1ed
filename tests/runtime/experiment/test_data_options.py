"""A model's preset gives its data options to loaders that take them; what the user's specification says wins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsd_runtime.data.images.caffe import GOOGLENET_MEAN, VGG_MEAN, CaffeRecipe
from dsd_runtime.data.images.files import ImagesOnDisk
from dsd_runtime.data.images.photo import PhotoRecipe
from dsd_runtime.data.registry import open_data
from dsd_runtime.data.source import DataSource
from dsd_runtime.experiment.request import Request, resolve
from dsd_runtime.experiment.setup import prepare


def _opened(folder: Path, model: str, data: str) -> DataSource:
    """What a run of that model on that data trains on."""
    schedule = folder / "one.dsd"
    schedule.write_text("dense 1it lr=0.1")
    request = Request(schedule, model=model, data=data, device="cpu")
    return prepare(request, resolve(request)).data


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    for split in ("train", "val", "test"):
        folder = tmp_path / "set" / split / "cat"
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((70, 80, 3), dtype=np.uint8)).save(folder / "0.jpg")
    return f"imagefolder:{tmp_path / 'set'}"


@pytest.mark.parametrize(
    ("model", "options", "recipe"),
    [
        ("googlenet", "", CaffeRecipe(GOOGLENET_MEAN)),
        ("vgg16", ",side=32,augment=false", CaffeRecipe(VGG_MEAN, 32, augment=False)),
        ("vgg16", ",recipe=resnet", PhotoRecipe()),
        ("resnet50", "", PhotoRecipe()),
        ("resnet50", ",recipe=vgg", CaffeRecipe(VGG_MEAN)),
    ],
)
def test_the_recipe_of_photographs(
    photographs: str, tmp_path: Path, model: str, options: str, recipe: CaffeRecipe | PhotoRecipe
) -> None:
    source = _opened(tmp_path, model, photographs + options)
    assert isinstance(source, ImagesOnDisk)
    assert source.recipe == recipe


def test_loaders_without_the_option_are_left_alone(tmp_path: Path) -> None:
    """The preset of `vgg16` asks for a recipe of photographs, which digits have none of."""
    assert _opened(tmp_path, "vgg16", "digits").fingerprint == open_data("digits").fingerprint


def test_an_option_said_with_the_data_wins(tmp_path: Path) -> None:
    """The preset of `ds1` asks for the utterances of the first pass from short to long."""
    by_preset, said = _opened(tmp_path, "ds1", "spoken"), _opened(tmp_path, "ds1", "spoken:sorta_grad=false")
    assert by_preset.fingerprint == open_data("spoken", sorta_grad=True).fingerprint
    assert said.fingerprint == open_data("spoken", sorta_grad=False).fingerprint != by_preset.fingerprint
