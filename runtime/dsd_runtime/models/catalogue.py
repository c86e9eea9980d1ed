"""The built-in models before they are built: options, preset, layers. Never imports torch.

A name is ``NAME`` or ``NAME:option=value,option=value``, as in ``ds2:hidden=128,layers=3``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.python_names import TORCHVISION, python_target
from dsd_runtime.models import inventories

ModelOption = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Preset:
    """The training settings of the published system, which apply if the schedule and the command line give none.

    ``lr``, ``weight_decay`` and ``clip`` are exact decimals as text; ``decay`` is written as in a schedule.
    ``data_options`` are passed to data sets whose loader has them, unless the data's own specification gives them.
    """

    task: Literal["classification", "ctc", "captioning"]
    data: str
    optimizer: str
    optimizer_options: Mapping[str, float | bool]
    lr: str
    batch: int
    weight_decay: str = "0"
    clip: str | None = None
    clip_kind: Literal["norm", "value"] = "norm"
    decay: str = "constant"
    data_options: Mapping[str, ModelOption] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A built-in model: ``factory`` is `module:callable`, called with every option as a keyword.

    ``from_data`` maps keywords of the factory to traits of the data (see registry.py); a given option takes precedence.
    """

    name: str
    summary: str
    factory: str
    options: Mapping[str, ModelOption]
    preset: Preset
    inventory: Callable[[Mapping[str, object]], tuple[LayerInfo, ...]]
    from_data: Mapping[str, str] = field(default_factory=dict)


_NESTEROV: Mapping[str, float | bool] = MappingProxyType({"momentum": 0.9, "nesterov": True})
_MOMENTUM: Mapping[str, float | bool] = MappingProxyType({"momentum": 0.9})
_SPEECH = Preset("ctc", "spoken", "sgd", _NESTEROV, lr="3e-4", batch=16, clip="100", data_options={"sorta_grad": True})
_FB_RESNET = Preset(
    "classification",
    "digits:size=32,channels=3",
    "sgd",
    _NESTEROV,
    lr="0.1",
    batch=256,
    weight_decay="1e-4",
    decay="step(33%, 66%, by=0.1)",
)
GENERIC_PRESET = Preset(
    "classification", "digits", "sgd", _NESTEROV, lr="0.1", batch=128, weight_decay="1e-4"
)  # torchvision's models and the user's own
# BVLC's solver.prototxt, that of the paper's 250 epochs: x0.96 every 320,000 updates of 32 images, which is 7.99 passes
# over ImageNet, so x0.9949 a pass, here smoothly. `step(8ep, 16ep, ..., by=0.96)` would say the steps themselves, for a
# phase that is known to be long enough. quick_solver.prototxt (60 epochs, the released weights) decays with the square
# root of what is left, "poly" 0.5, which the language has no word for; `linear` is poly 1.
_GOOGLENET_DECAY = "exp(0.9949)"
# VGG paper: 1e-2, three times divided by 10 when validation stood still, over 74 epochs; when is not published.
_VGG_DECAY = "step(25%, 50%, 75%, by=0.1)"
# Caffe's factors for biases (rate x2, no weight decay) are in neither preset: `lr=` and `wd=` are for all weights.
_SPEECH_DATA = {"features": "num_features", "symbols": "num_symbols"}
_SIZED_IMAGES = {"classes": "num_classes", "image_shape": "image_shape"}
_TORCHVISION_IMAGES = {**_SIZED_IMAGES, "channels": "in_channels"}


def _lottery(lr: str) -> Preset:
    return Preset("classification", "digits", "adam", {}, lr=lr, batch=60)


def _conv_spec(depth: int, lr: str, inventory: Callable[[Mapping[str, object]], tuple[LayerInfo, ...]]) -> ModelSpec:
    return ModelSpec(
        f"conv{depth}",
        f"Conv-{depth} of the lottery-ticket paper",
        f"dsd_runtime.models.lenet:conv{depth}",
        {"classes": 10},
        _lottery(lr),
        inventory,
        _SIZED_IMAGES,
    )


_SPECS = (
    ModelSpec(
        "ds1",
        "Deep Speech 1 (Table 6): 8,139,805 parameters",
        "dsd_runtime.models.deepspeech:DeepSpeech1",
        {"hidden": 1024, "features": 161, "symbols": 29, "stride": 2, "dropout": 0.0},
        _SPEECH,
        inventories.deep_speech_1,
        _SPEECH_DATA,
    ),
    ModelSpec(
        "ds2",
        "Deep Speech 2 (Table 8): 67,740,758 parameters",
        "dsd_runtime.models.deepspeech:DeepSpeech2",
        {"hidden": 1760, "layers": 7, "channels": 32, "features": 161, "symbols": 54},
        _SPEECH,
        inventories.deep_speech_2,
        _SPEECH_DATA,
    ),
    ModelSpec(
        "neuraltalk",
        "NeuralTalk image captioning (Table 5): 2,876,138 parameters",
        "dsd_runtime.models.captioning:NeuralTalk",
        {"hidden": 256, "features": 4096, "vocabulary": 2538, "dropout": 0.5},
        Preset(
            "captioning",
            "scenes",
            "rmsprop",
            {"alpha": 0.999, "eps": 1e-8},
            lr="1e-3",
            batch=100,
            weight_decay="1e-8",
            clip="5",
            clip_kind="value",
        ),
        inventories.neural_talk,
        {"features": "feature_dim", "vocabulary": "vocab_size", "word_counts": "word_counts"},
    ),
    ModelSpec(
        "googlenet",
        "BVLC GoogLeNet with two auxiliary heads (Table 2): 13,378,280 parameters",
        "dsd_runtime.models.googlenet:GoogLeNet",
        {"classes": 1000},
        Preset(
            "classification",
            "digits:size=96,channels=3",
            "sgd",
            _MOMENTUM,
            lr="0.01",
            batch=32,
            weight_decay="2e-4",
            decay=_GOOGLENET_DECAY,
            data_options={"recipe": "googlenet"},
        ),
        inventories.bvlc_googlenet,
        _SIZED_IMAGES,
    ),
    ModelSpec(
        "vgg16",
        "VGG-16 (Table 3): 138,357,544 parameters",
        "dsd_runtime.models.torchvision_models:vgg16",
        {"classes": 1000, "channels": 3},
        Preset(
            "classification",
            "digits:size=32,channels=3",
            "sgd",
            _MOMENTUM,
            lr="0.01",
            batch=256,
            weight_decay="5e-4",
            decay=_VGG_DECAY,
            data_options={"recipe": "vgg"},
        ),
        inventories.vgg16,
        _TORCHVISION_IMAGES,
    ),
    ModelSpec(
        "resnet18",
        "ResNet-18 (Table 4): 11,689,512 parameters",
        "dsd_runtime.models.torchvision_models:resnet18",
        {"classes": 1000, "channels": 3},
        _FB_RESNET,
        inventories.resnet18,
        _TORCHVISION_IMAGES,
    ),
    ModelSpec(
        "resnet50",
        "ResNet-50 (Table 4): 25,557,032 parameters",
        "dsd_runtime.models.torchvision_models:resnet50",
        {"classes": 1000, "channels": 3},
        _FB_RESNET,
        inventories.resnet50,
        _TORCHVISION_IMAGES,
    ),
    ModelSpec(
        "resnet20",
        "ResNet-20 for CIFAR-10, type-A shortcuts (Table 10): 269,722 parameters",
        "dsd_runtime.models.resnet_cifar:ResNet20",
        {"width": 16, "classes": 10, "channels": 3},
        Preset(
            "classification",
            "digits",
            "sgd",
            _NESTEROV,
            lr="0.1",
            batch=128,
            weight_decay="1e-4",
            decay="step(50%, 75%, by=0.1)",
        ),
        inventories.resnet20,
        {"classes": "num_classes", "channels": "in_channels"},
    ),
    ModelSpec(
        "lenet_300_100",
        "Lenet-300-100 of the lottery-ticket paper: 266,610 parameters on 28x28 images",
        "dsd_runtime.models.lenet:Lenet300100",
        {"classes": 10},
        _lottery("1.2e-3"),
        inventories.lenet_300_100,
        _SIZED_IMAGES,
    ),
    _conv_spec(2, "2e-4", inventories.conv2),
    _conv_spec(4, "3e-4", inventories.conv4),
    _conv_spec(6, "3e-4", inventories.conv6),
)

MODELS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})


def _unknown_model(name: str) -> DsdError:
    known = f"built-in models: {', '.join(MODELS)}; or `torchvision:NAME`, or your own `package.module:factory`"
    begun = next((known for known in MODELS if name and known.startswith(name)), None)
    guess = begun or nearest(name, tuple(MODELS))
    return DsdError(f"unknown model `{name}`", help=f"did you mean `{guess}`? {known}" if guess else known)


_SWITCHES: Mapping[str, bool] = {"on": True, "true": True, "off": False, "false": False}


def _option_value(name: str, text: str, default: ModelOption) -> ModelOption:
    """The value of an option's text, with the type of its default; whole numbers are 1 or more, fractions in [0, 1)."""
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        if text.lower() in _SWITCHES:
            return _SWITCHES[text.lower()]
        raise DsdError(f"the option `{name}={text}` is not `on` or `off`", help=f"write {name}=on or {name}=off")
    wanted = "a whole number of 1 or more" if isinstance(default, int) else "a number of at least 0 and below 1"
    try:
        value = int(text) if isinstance(default, int) else float(text)
    except ValueError:
        value = -1
    if (value < 1) if isinstance(default, int) else not 0 <= value < 1:
        raise DsdError(f"the option `{name}={text}` is not {wanted}", help=f"the default is {name}={default}")
    return value


def parse_model_name(name: str) -> tuple[ModelSpec, dict[str, ModelOption]]:
    """Parses a built-in model's name to its spec and the given options.

    >>> spec, options = parse_model_name("ds2:hidden=128,layers=3")
    >>> spec.name, options
    ('ds2', {'hidden': 128, 'layers': 3})

    Raises DsdError, with a suggestion, for an unknown model or option or an invalid value.
    """
    base, colon, rest = name.strip().partition(":")
    spec = MODELS.get(base)
    if spec is None:
        raise _unknown_model(base)
    options: dict[str, ModelOption] = {}
    for piece in rest.split(",") if colon else ():
        option, equals, text = (part.strip() for part in piece.partition("="))
        if not equals or not option:
            raise DsdError(f"`{piece}` in `{name}` is not an option", help=f"write `{base}:option=value`")
        if option not in spec.options:
            guess = nearest(option, tuple(spec.options))
            known = f"it has {', '.join(f'{key}={value}' for key, value in spec.options.items())}"
            raise DsdError(
                f"the model `{base}` has no option `{option}`",
                help=f"did you mean `{guess}`? {known}" if guess else known,
            )
        if option in options:
            raise DsdError(f"the option `{option}` is given twice in `{name}`", help="keep one of them")
        options[option] = _option_value(option, text, spec.options[option])
    return spec, options


def is_built_in(name: str) -> bool:
    """Whether a name (not `torchvision:NAME`, not `package.module:factory`) is in this catalogue."""
    base = name.strip().partition(":")[0]
    return base in MODELS or (base != TORCHVISION and python_target("model", name) is None)


def inventory(name: str) -> tuple[LayerInfo, ...]:
    """The layers of a built-in model at its published size or with the given options; sizes from data are nominal.

    Raises DsdError for models whose layers are known only after building them.
    """
    if not is_built_in(name):
        raise DsdError(
            f"the layers of `{name}` are known only when it is built",
            help="give them in a file with `--layers FILE`, or lint without a model",
        )
    spec, options = parse_model_name(name)
    return spec.inventory({**spec.options, **options})


def preset_of(model_name: str) -> Preset:
    """A built-in model's preset; a default one for torchvision's and the user's models."""
    return parse_model_name(model_name)[0].preset if is_built_in(model_name) else GENERIC_PRESET


def preset_settings(preset: Preset) -> dict[str, str]:
    """A preset under the names that `set` uses."""
    options = ", ".join(f"{name}={_word(value)}" for name, value in preset.optimizer_options.items())
    settings = {
        "opt": f"{preset.optimizer}({options})" if options else preset.optimizer,
        "lr": preset.lr,
        "wd": preset.weight_decay,
        "batch": str(preset.batch),
        "decay": preset.decay,
    }
    if preset.clip is not None:
        settings["clip"] = f"{preset.clip_kind}({preset.clip})"
    return settings


def cards() -> dict[str, dict[str, str]]:
    """Every built-in model by name: description, task, default data."""
    return {
        spec.name: {"summary": spec.summary, "task": spec.preset.task, "data": spec.preset.data}
        for spec in MODELS.values()
    }


def settings(name: str) -> Mapping[str, str]:
    """The settings of a model's preset under the names that `set` uses, for `dsd-plan --model`.

    Raises DsdError for an unknown name.
    """
    return preset_settings(preset_of(name))


def _word(value: float | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return repr(value)
