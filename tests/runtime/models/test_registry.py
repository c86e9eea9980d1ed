"""Building by name: published counts, sizes from the data, other people's models, and what cannot be built."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.models.catalogue import MODELS
from dsd_runtime.models.registry import build_model

DIGITS = DataTraits("classification", num_classes=10, image_shape=(1, 8, 8))
IMAGENET = DataTraits("classification", num_classes=1000, image_shape=(3, 224, 224))
CIFAR = DataTraits("classification", num_classes=10, image_shape=(3, 32, 32))
SPEECH = DataTraits("ctc", alphabet=("'", " ", *"abcdefghijklmnopqrstuvwxyz"), num_features=161)
SCENES = DataTraits("captioning", vocabulary=("#START#", "a", "dog"), word_counts=(4, 8, 2), feature_dim=20)


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "traits", "count"),
    [
        ("ds1", SPEECH, 8_139_805),
        ("ds2:symbols=54", SPEECH, 67_740_758),
        ("ds2", SPEECH, 67_740_758 - 25 * 1761),
        ("neuraltalk", DataTraits("captioning"), 2_876_138),
        ("googlenet", IMAGENET, 13_378_280),
        ("vgg16", IMAGENET, 138_357_544),
        ("resnet18", IMAGENET, 11_689_512),
        ("resnet50", IMAGENET, 25_557_032),
        ("resnet20", CIFAR, 269_722),
        ("lenet_300_100", DataTraits("classification", num_classes=10, image_shape=(1, 28, 28)), 266_610),
        ("conv2", CIFAR, 4_301_642),
        ("conv4", CIFAR, 2_425_930),
        ("conv6", CIFAR, 2_262_602),
    ],
)
def test_parameter_counts(name: str, traits: DataTraits, count: int) -> None:
    with torch.device("meta"):
        model = build_model(name, traits)
    assert _count(model) == count


def test_googlenet_is_the_bvlc_network() -> None:
    with torch.device("meta"):
        model = build_model("googlenet", IMAGENET)
        convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
        logits = model(torch.empty(2, 3, 224, 224))
        assert [tuple(values.shape) for values in logits] == [(2, 1000)] * 3
        assert tuple(model.eval()(torch.empty(2, 3, 224, 224)).shape) == (2, 1000)
    assert len(convolutions) == 59
    assert sum(name.startswith("aux") for name in convolutions) == 2
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert model.aux_weights == (0.3, 0.3)


@pytest.mark.parametrize("name", ["resnet20", "lenet_300_100", "conv2", "conv4", "conv6", "resnet18"])
def test_networks_that_take_small_grey_images(name: str) -> None:
    model = build_model(name, DIGITS)
    assert model(torch.randn(4, 1, 8, 8)).shape == (4, 10)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_each_model_runs_on_its_default_data(name: str) -> None:
    """The sizes that the preset's data names, without loading it."""
    data = MODELS[name].preset.data
    if data == "spoken":
        with torch.device("meta"):
            assert _count(build_model(name, SPEECH))
    elif data == "scenes":
        assert build_model(name, SCENES)(torch.rand(2, 20), torch.zeros(2, 3, dtype=torch.int64)).shape == (2, 3, 3)
    else:
        options = dict(item.split("=") for item in data.partition(":")[2].split(",") if item)
        side = int(options.get("size", 8))
        shape = (int(options.get("channels", 1)), side, side)
        with torch.device("meta"):
            model = build_model(name, DataTraits("classification", num_classes=10, image_shape=shape))
            assert tuple(model.eval()(torch.empty(2, *shape)).shape) == (2, 10)


@pytest.mark.parametrize("name", ["vgg16", "googlenet", "torchvision:alexnet"])
def test_networks_that_cannot_take_small_images_say_so(name: str) -> None:
    with torch.device("meta"), pytest.raises(DsdError, match="8x8") as caught:
        build_model(name, DIGITS)
    assert caught.value.help


def test_the_data_sizes_the_model_and_a_given_option_wins() -> None:
    assert build_model("ds1:hidden=16", SPEECH).ctc.out_features == 29
    assert build_model("ds1:hidden=16,symbols=40", SPEECH).ctc.out_features == 40
    captioner = build_model("neuraltalk:hidden=8", SCENES)
    assert captioner.We.in_features == 20
    assert captioner.Wd.bias.tolist() == pytest.approx([-0.6931472, 0.0, -1.3862944])
    assert build_model("neuraltalk:hidden=8,vocabulary=5", SCENES).Wd.out_features == 5
    assert build_model("resnet20:width=8", CIFAR).conv1.weight.shape == (8, 3, 3, 3)


@pytest.mark.parametrize("name", ["ds1:hidden=16", "ds2:hidden=16,layers=2,channels=2"])
def test_small_siblings_run(name: str) -> None:
    logits, lengths = build_model(name, SPEECH)(torch.randn(2, 40, 161), torch.tensor([40, 30]))
    assert logits.shape[2] == 29
    assert lengths[0] == logits.shape[1]


@pytest.mark.parametrize(
    ("name", "traits"),
    [
        ("ds1:hidden=16", SPEECH),
        ("ds2:hidden=16,layers=2,channels=2", SPEECH),
        ("neuraltalk:hidden=8", SCENES),
        ("resnet20:width=4", CIFAR),
        ("lenet_300_100", DIGITS),
        ("conv2", DIGITS),
        ("googlenet", DataTraits("classification", num_classes=3, image_shape=(1, 80, 80))),
        ("torchvision:squeezenet1_1", CIFAR),
        ("resnet18", DIGITS),
    ],
)
def test_reset_parameters_draws_everything_again_from_the_global_generator(name: str, traits: DataTraits) -> None:
    torch.manual_seed(1)
    model = build_model(name, traits)
    built = {key: value.clone() for key, value in model.state_dict().items()}
    twin = copy.deepcopy(model)
    pointers = [value.data_ptr() for value in twin.parameters()]
    with torch.no_grad():
        for value in twin.parameters():
            value.fill_(3.0)
    torch.manual_seed(2)
    twin.reset_parameters()
    first = {key: value.clone() for key, value in twin.state_dict().items()}
    torch.manual_seed(2)
    twin.reset_parameters()
    assert pointers == [value.data_ptr() for value in twin.parameters()]
    assert all(torch.equal(first[key], value) for key, value in twin.state_dict().items())
    assert all(torch.equal(built[key], value) for key, value in model.state_dict().items())
    matrices = [key for key, value in twin.named_parameters() if value.dim() > 1]
    assert all(not torch.equal(built[key], first[key]) for key in matrices)
    assert not any((value == 3.0).all() for value in twin.parameters())


def test_torchvision_by_name() -> None:
    model = build_model("torchvision:squeezenet1_1", CIFAR)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    with torch.device("meta"):
        assert build_model("torchvision:googlenet", IMAGENET).aux_weights == (0.3, 0.3)
    with pytest.raises(DsdError, match="no classifier `resnet19`") as caught:
        build_model("torchvision:resnet19", CIFAR)
    assert "did you mean `torchvision:resnet1" in (caught.value.help or "")


USER_MODULE = """
from torch import nn
NOT_A_MODEL = 3
def tiny(num_classes, in_channels, width=4):
    return nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.Flatten(), nn.LazyLinear(num_classes))
def dense(*, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
def anything(**sizes):
    model = nn.Linear(1, 1)
    model.sizes = sizes
    return model
def wrong():
    return 3
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_networks.py").write_text(USER_MODULE)
    (tmp_path / "my_broken.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_networks"


def test_a_users_factory_gets_the_arguments_it_accepts(user_module: str) -> None:
    model = build_model(f"{user_module}:tiny,width=6", DIGITS)
    assert model[0].weight.shape == (6, 1, 3, 3)
    model = build_model(f"{user_module}:dense", DIGITS)
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    before = model[1].weight.clone()
    model.reset_parameters()
    assert not torch.equal(before, model[1].weight)
    sizes = build_model(f"{user_module}:anything", SPEECH).sizes
    assert sizes == {"alphabet": SPEECH.alphabet, "num_symbols": 29, "num_features": 161}


@pytest.mark.parametrize(
    ("name", "message", "help_text"),
    [
        ("my_networks:tinny", "no function `tinny`", "did you mean `my_networks:tiny`"),
        ("my_networks:NOT_A_MODEL", "no function", "it has"),
        ("my_networks:tiny,widht=6", "no argument `widht`", "did you mean `width`"),
        ("my_networks:wrong", "gave a `int`", "torch.nn.Module"),
        ("my_broken:tiny", "a_module_that_is_not_there", "install"),
        ("no_such_package.module:tiny", "is not a known model or an importable module", "package.module:factory"),
        ("ds3", "unknown model `ds3`", "did you mean `ds"),
        ("ds2:hiden=3", "no option `hiden`", "did you mean `hidden`"),
    ],
)
@pytest.mark.usefixtures("user_module")
def test_mistakes(name: str, message: str, help_text: str) -> None:
    with pytest.raises(DsdError) as caught:
        build_model(name, DIGITS)
    assert message in caught.value.message
    assert help_text in (caught.value.help or "")


def test_data_of_another_task() -> None:
    with pytest.raises(DsdError, match="`ds1` is for ctc, the data is for classification"):
        build_model("ds1", DIGITS)
    with pytest.raises(DsdError, match="is for classification"):
        build_model("torchvision:alexnet", SPEECH)


def test_type_a_shortcuts_have_no_parameters_and_keep_the_image() -> None:
    from dsd_runtime.models.resnet_cifar import BasicBlock

    block = BasicBlock(4, 8, 2).eval()
    nn.init.zeros_(block.bn2.weight)
    images = torch.rand(2, 4, 6, 6)
    output = block(images)
    assert torch.equal(output[:, :4], images[:, :, ::2, ::2])
    assert not output[:, 4:].any()
