"""A model's preset gives its data options to loaders that take them; what the user's specification says wins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsd_runtime.data.images.caffe import GOOGLENET_MEAN, VGG_MEAN, CaffeRecipe
from dsd_runtime.data.images.files import ImagesOnDisk
from dsd_runtime.data.images.photo import PhotoRecipe
from dsd_runtime.data.registry import open_data
from dsd_runtime.experiment.setup import _open
from dsd_runtime.models.catalogue import MODELS


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
    photographs: str, model: str, options: str, recipe: CaffeRecipe | PhotoRecipe
) -> None:
    source = _open(photographs + options, MODELS[model].preset)
    assert isinstance(source, ImagesOnDisk)
    assert source.recipe == recipe


def test_loaders_without_the_option_are_left_alone() -> None:
    preset = MODELS["vgg16"].preset
    assert _open("digits", preset).fingerprint == open_data("digits").fingerprint
    odd = replace(preset, data_options={"size": 16, "sorta_grad": True, "path": "x"})
    assert _open("digits", odd).fingerprint == open_data("digits:size=16").fingerprint
    assert _open("digits:size=12", odd).fingerprint == open_data("digits:size=12").fingerprint
