"""torchvision's classifiers, untrained and fitted to the data's classes and channels.

For networks of the paper (VGG-16, ResNet-18, ResNet-50) torchvision's definition is used unchanged.
"""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import nn

from dsd_lang.base.errors import DsdError, nearest

# torchvision builders whose default initialisation is slow or deprecated
_EXPLICIT_INIT = ("googlenet", "inception_v3")
_AUXILIARY_WEIGHTS = {"googlenet": (0.3, 0.3), "inception_v3": (0.4,)}


def _known_names() -> list[str]:
    names: list[str] = torchvision.models.list_models(module=torchvision.models)
    return names


def _with_channels(model: nn.Module, channels: int) -> None:
    """Gives the first convolution another number of input channels, with the same kind of initialisation."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        if module.in_channels != channels:
            fitted = nn.Conv2d(
                channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                bias=module.bias is not None,
            )
            with torch.no_grad():
                fitted.weight.normal_().mul_(module.weight.std())
                if fitted.bias is not None and module.bias is not None:
                    fitted.bias.copy_(module.bias)
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, fitted)
        return


def _check_image_fits(model: nn.Module, name: str, image_shape: tuple[int, int, int]) -> None:
    """Runs the model on shapes only (no memory, no arithmetic), and reports images that are too small."""
    state = {key: torch.empty_like(value, device="meta") for key, value in model.state_dict().items()}
    was_training = model.training
    model.eval()
    try:
        torch.func.functional_call(model, state, (torch.empty(2, *image_shape, device="meta"),))
    except (RuntimeError, ValueError, AssertionError) as error:
        size = "x".join(str(extent) for extent in image_shape)
        raise DsdError(
            f"`{name}` cannot take images of {size} (channels, height, width): {str(error).splitlines()[0]}",
            help="use larger images (`digits:size=32,channels=3`), or a network made for small ones such as `resnet20`",
        ) from error
    finally:
        model.train(was_training)


def torchvision_model(
    name: str, *, classes: int = 1000, channels: int = 3, image_shape: tuple[int, int, int] = (3, 224, 224)
) -> nn.Module:
    """`torchvision.models.NAME` without weights; raises DsdError for an unknown name or unsuitable images."""
    known = _known_names()
    if name not in known:
        guess = nearest(name, tuple(known))
        raise DsdError(
            f"torchvision has no classifier `{name}`",
            help=f"did you mean `torchvision:{guess}`?" if guess else "see `torchvision.models.list_models()`",
        )
    arguments: dict[str, Any] = {"init_weights": True} if name in _EXPLICIT_INIT else {}
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **arguments)
    _with_channels(model, channels)
    if name in _AUXILIARY_WEIGHTS:
        model.aux_weights = _AUXILIARY_WEIGHTS[name]  # type: ignore[assignment]
    _check_image_fits(model, name, (channels, *image_shape[1:]))
    return model


def vgg16(*, classes: int = 1000, channels: int = 3, image_shape: tuple[int, int, int] = (3, 224, 224)) -> nn.Module:
    """VGG-16: 138,357,544 parameters at the defaults."""
    return torchvision_model("vgg16", classes=classes, channels=channels, image_shape=image_shape)


def resnet18(*, classes: int = 1000, channels: int = 3, image_shape: tuple[int, int, int] = (3, 224, 224)) -> nn.Module:
    """ResNet-18: 11,689,512 parameters at the defaults."""
    return torchvision_model("resnet18", classes=classes, channels=channels, image_shape=image_shape)


def resnet50(*, classes: int = 1000, channels: int = 3, image_shape: tuple[int, int, int] = (3, 224, 224)) -> nn.Module:
    """ResNet-50: 25,557,032 parameters at the defaults."""
    return torchvision_model("resnet50", classes=classes, channels=channels, image_shape=image_shape)
