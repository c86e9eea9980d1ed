"""The catalogue: names, options, presets, and layers that equal the built model's, all without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo, parse_selector, select
from dsd_lang.base.units import exact
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.engine.layers import inventory as inventory_of
from dsd_runtime.models.catalogue import MODELS, ModelOption, inventory, is_built_in, parse_model_name
from dsd_runtime.models.registry import build_model

SMALL = {
    "ds1": "ds1:hidden=24,features=40,symbols=7",
    "ds2": "ds2:hidden=16,layers=3,channels=4,features=39,symbols=9",
    "neuraltalk": "neuraltalk:hidden=8,features=12,vocabulary=31",
    "resnet20": "resnet20:width=8,classes=5,channels=1",
    "resnet18": "resnet18:classes=7,channels=1",
    "resnet50": "resnet50:classes=7",
    "vgg16": "vgg16:classes=7,channels=1",
    "googlenet": "googlenet:classes=7",
}
NAMES = sorted({*MODELS, *SMALL.values()})


def _nominal(name: str) -> DataTraits:
    """Data that says nothing of sizes, so that a model takes its published ones."""
    return DataTraits(parse_model_name(name)[0].preset.task)


@pytest.mark.parametrize("name", NAMES)
def test_the_inventory_equals_the_built_models(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, _nominal(name))
    assert inventory(name) == inventory_of(model)


def test_reading_the_catalogue_does_not_import_torch() -> None:
    code = (
        "import sys; from dsd_runtime.models.catalogue import MODELS, inventory\n"
        "for name in MODELS: inventory(name)\n"
        "inventory('ds2:hidden=128,layers=3')\n"
        "assert not {'torch', 'numpy', 'torchvision'} & set(sys.modules), 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def _size(layers: tuple[LayerInfo, ...], *selectors: str) -> int:
    chosen, missing = select([parse_selector(text) for text in selectors], [], layers)
    assert not missing
    return sum(weight.size for weight in chosen)


def test_what_the_paper_prunes_in_ds1() -> None:
    layers = inventory("ds1")
    assert _size(layers, "fc", "birnn") == 3 * 1024**2 + 3 * 1024**2
    assert _size(layers, "birnn.hh") == 2 * 1024**2
    assert _size(layers, "birnn.ih") == 1024**2
    assert _size(layers, "ctc") == _size(layers, "output") == 1024 * 29
    assert _size(layers, "first_conv") == 1024 * 161 * 11


def test_what_the_paper_prunes_in_neuraltalk() -> None:
    layers = inventory("neuraltalk")
    assert _size(layers, "prunable") == 4096 * 256 + 1024 * 512 + 2538 * 256
    assert _size(layers, "embed") == 2538 * 256
    assert _size(layers, "output") == 2538 * 256


def test_googlenet_prunes_all_but_the_first_convolution() -> None:
    chosen, _ = select([], [], inventory("googlenet"))
    assert len(chosen) == 58 + 5
    assert "stem.conv1.conv.weight" not in {weight.name for weight in chosen}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ds2:hidden=128,layers=3", {"hidden": 128, "layers": 3}),
        (" ds1 ", {}),
        ("ds1:dropout=0.1,stride=3", {"dropout": 0.1, "stride": 3}),
    ],
)
def test_options_given(name: str, expected: dict[str, ModelOption]) -> None:
    assert parse_model_name(name)[1] == expected


@pytest.mark.parametrize(
    ("name", "message", "help_text"),
    [
        ("ds3", "`ds3`", "did you mean `ds"),
        ("resnet-20", "`resnet-20`", "did you mean `resnet20`"),
        ("ds3:hidden=3", "`ds3`", "did you mean `ds"),
        ("ds2:hiden=3", "no option `hiden`", "did you mean `hidden`"),
        ("ds2:hidden=0", "`hidden=0` is not a whole number", "hidden=1760"),
        ("ds2:hidden=big", "`hidden=big`", "hidden=1760"),
        ("ds1:dropout=1", "`dropout=1`", "dropout=0.0"),
        ("ds2:hidden", "`hidden`", "write `ds2:option=value`"),
        ("ds2:hidden=1,hidden=2", "given twice", "keep one"),
    ],
)
def test_mistakes_in_names_say_what_was_meant(name: str, message: str, help_text: str) -> None:
    with pytest.raises(DsdError) as caught:
        parse_model_name(name)
    assert message in caught.value.message
    assert help_text in (caught.value.help or "")


def test_models_known_only_once_built() -> None:
    assert not is_built_in("torchvision:alexnet")
    assert not is_built_in("package.module:factory,depth=3")
    with pytest.raises(DsdError, match="known only when it is built"):
        inventory("torchvision:alexnet")


@pytest.mark.parametrize("name", sorted(MODELS))
def test_presets_are_exact_and_complete(name: str) -> None:
    preset = MODELS[name].preset
    assert exact(preset.lr) > 0
    assert exact(preset.weight_decay) >= 0
    assert preset.batch > 0
    assert preset.clip is None or exact(preset.clip) > 0


def test_the_published_presets() -> None:
    speech = MODELS["ds2"].preset
    assert (speech.optimizer, dict(speech.optimizer_options)) == ("sgd", {"momentum": 0.9, "nesterov": True})
    assert (speech.lr, speech.batch, speech.clip, speech.clip_kind) == ("3e-4", 16, "100", "norm")
    assert speech.data_options == {"sorta_grad": True}
    assert speech.data == "spoken"
    captions = MODELS["neuraltalk"].preset
    assert (captions.optimizer, captions.optimizer_options["alpha"]) == ("rmsprop", 0.999)
    assert (captions.lr, captions.batch, captions.clip, captions.clip_kind) == ("1e-3", 100, "5", "value")
    assert (captions.weight_decay, captions.data) == ("1e-8", "scenes")


def test_the_published_presets_of_the_caffe_models() -> None:
    vgg, googlenet = MODELS["vgg16"].preset, MODELS["googlenet"].preset
    assert (vgg.lr, vgg.batch, vgg.weight_decay, vgg.decay) == ("0.01", 256, "5e-4", "step(25%, 50%, 75%, by=0.1)")
    assert (googlenet.lr, googlenet.batch, googlenet.weight_decay) == ("0.01", 32, "2e-4")
    per_pass = float(googlenet.decay.removeprefix("exp(").removesuffix(")"))
    passes = 320_000 * 32 / 1_281_167
    assert per_pass**passes == pytest.approx(0.96, abs=1e-4)
    for preset, recipe in ((vgg, "vgg"), (googlenet, "googlenet")):
        assert dict(preset.optimizer_options) == {"momentum": 0.9}
        assert preset.data_options == {"recipe": recipe}
