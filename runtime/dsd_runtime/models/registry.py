"""Builds a model by its name for given data.

A name is a built-in model (``ds2:hidden=128``, see catalogue.py), ``torchvision:NAME``, or a user's
``package.module:factory``, with options after a comma (``package.module:factory,depth=3``). Sizes are taken from the
data unless given as options. Every model has ``reset_parameters()``, which initialises all its weights from torch's
global generator.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import nn

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.python_names import TORCHVISION
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.factories import UnknownModule, call_factory, load_factory, option_value
from dsd_runtime.models.catalogue import ModelSpec, is_built_in, parse_model_name


def factory_values(traits: DataTraits | None) -> dict[str, object]:
    """The keyword arguments that a factory may take; without those that the data does not have."""
    if traits is None:
        return {}
    values: dict[str, object | None] = {
        "num_classes": traits.num_classes,
        "in_channels": traits.image_shape[0] if traits.image_shape else None,
        "image_size": traits.image_shape[1] if traits.image_shape else None,
        "image_shape": traits.image_shape,
        "alphabet": traits.alphabet or None,
        "num_symbols": traits.num_symbols if traits.alphabet else None,
        "num_features": traits.num_features,
        "vocab_size": len(traits.vocabulary) or None,
        "word_counts": traits.word_counts or None,
        "feature_dim": traits.feature_dim,
    }
    return {name: value for name, value in values.items() if value is not None}


def build_model(name: str, traits: DataTraits | None) -> nn.Module:
    """The model ``name`` with its first and last layers sized by the data, freshly initialised, in training mode.

    Without ``traits`` it has its published sizes.

    Raises DsdError for an unknown name or option, for data of another task, and for a factory that does not return a
    model.

    >>> model = build_model("resnet20:width=8", DataTraits("classification", num_classes=10, image_shape=(1, 8, 8)))
    >>> model.fc
    Linear(in_features=32, out_features=10, bias=True)
    """
    name = name.strip()
    if name.partition(":")[0] == TORCHVISION:
        build = _torchvision_builder(name.partition(":")[2], traits)
    elif is_built_in(name):
        build = _built_in_builder(name, traits)
    else:
        build = _user_builder(name, traits)
    return checked_model(build, name)


def checked_model(build: Callable[[], Any], name: str) -> nn.Module:
    """What ``build`` makes, if it is a module, in training mode and with a `reset_parameters()`."""
    model = build()
    if not isinstance(model, nn.Module):
        raise DsdError(f"`{name}` gave a `{type(model).__name__}`", help="a factory returns a torch.nn.Module")
    if not callable(getattr(model, "reset_parameters", None)):
        model.reset_parameters = MethodType(partial(_draw_again, build), model)  # type: ignore[assignment]
    return model.train()


def _draw_again(build: Callable[[], nn.Module], model: nn.Module) -> None:
    """Overwrites a model's state, in place, with that of another model built the same way."""
    with torch.no_grad():
        model.load_state_dict(build().state_dict())


def _built_in_builder(name: str, traits: DataTraits | None) -> Callable[[], nn.Module]:
    spec, given = parse_model_name(name)
    if traits is not None:
        _require_fitting(spec, traits)
    values = factory_values(traits)
    sized = {keyword: values[value] for keyword, value in spec.from_data.items() if value in values}
    if "vocabulary" in given:
        sized.pop("word_counts", None)
    module, _, attribute = spec.factory.partition(":")
    factory: Callable[..., nn.Module] = getattr(importlib.import_module(module), attribute)
    return partial(factory, **{**spec.options, **sized, **given})


def _require_fitting(spec: ModelSpec, traits: DataTraits) -> None:
    if traits.task != spec.preset.task:
        raise DsdError(
            f"the model `{spec.name}` is for {spec.preset.task}, the data is for {traits.task}",
            help=f"use data for that task; its default is `{spec.preset.data}`",
        )
    if spec.preset.task == "classification" and traits.image_shape is None and traits.num_features is not None:
        raise DsdError(
            f"the model `{spec.name}` takes images, and the data has feature vectors",
            help="use your own model for it, `package.module:factory`",
        )


def _torchvision_builder(name: str, traits: DataTraits | None) -> Callable[[], nn.Module]:
    if traits is not None and traits.task != "classification":
        raise DsdError(
            f"the model `{TORCHVISION}:{name}` is for classification, the data is for {traits.task}",
            help="use data with images and classes, such as `digits`",
        )
    from dsd_runtime.models.torchvision_models import torchvision_model

    keywords = {"classes": "num_classes", "channels": "in_channels", "image_shape": "image_shape"}
    values = factory_values(traits)
    sized: dict[str, Any] = {keyword: values[value] for keyword, value in keywords.items() if value in values}
    return partial(torchvision_model, name, **sized)


def _user_builder(name: str, traits: DataTraits | None) -> Callable[[], nn.Module]:
    target, *pieces = name.split(",")
    factory = _user_factory(target)
    parameters = inspect.signature(factory).parameters
    takes_any = _takes_any(factory)
    options: dict[str, object] = {}
    for piece in pieces:
        key, _, text = piece.partition("=")
        if not (takes_any or key in parameters):
            guess = nearest(key, tuple(parameters))
            known = f"it takes {', '.join(parameters) or 'no arguments'}"
            raise DsdError(
                f"`{target}` takes no argument `{key}`", help=f"did you mean `{guess}`? {known}" if guess else known
            )
        options[key] = option_value(text)
    return partial(call_factory, target, factory, {**accepted_values(factory, traits), **options})


def accepted_values(factory: Callable[..., Any], traits: DataTraits | None) -> dict[str, object]:
    """The properties of the data that a factory takes as keyword arguments."""
    parameters = inspect.signature(factory).parameters
    return {key: value for key, value in factory_values(traits).items() if _takes_any(factory) or key in parameters}


def _takes_any(factory: Callable[..., Any]) -> bool:
    return any(item.kind is item.VAR_KEYWORD for item in inspect.signature(factory).parameters.values())


def _user_factory(target: str) -> Callable[..., Any]:
    try:
        return load_factory(target)
    except UnknownModule as error:
        raise DsdError(f"`{target}` is not a known model or an importable module", help=error.help) from error
