"""Opens a data set by its name.

A specification is
``NAME[:PATH][,key=value...]``: ``digits``, ``digits:size=32,channels=3``, ``imagefolder:/data/pets,val=0.2``. If the
name is unknown, it is a user's factory, ``package.module:factory``, called with the options.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from dsd_lang.base.data_sets import DATA_SETS
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.python_names import python_target
from dsd_runtime.data.datasets import is_datasets, source_of_datasets
from dsd_runtime.data.source import DataSource
from dsd_runtime.factories import UnknownModule, call_factory, load_factory, option_value

OptionValue = int | float | bool | str

LOADERS: Mapping[str, str] = MappingProxyType(
    {
        "digits": "dsd_runtime.data.images.digits:open_digits",
        "spoken": "dsd_runtime.data.speech.spoken:open_spoken",
        "scenes": "dsd_runtime.data.captions.scenes:open_scenes",
        "imagefolder": "dsd_runtime.data.images.imagefolder:open_imagefolder",
        "cifar10": "dsd_runtime.data.images.cifar10:open_cifar10",
        "manifest": "dsd_runtime.data.speech.manifest:open_manifest",
        "librispeech": "dsd_runtime.data.speech.librispeech:open_librispeech",
        "flickr8k": "dsd_runtime.data.captions.flickr8k:open_flickr8k",
    }
)
"""The function that opens each data set of `dsd_lang.base.data_sets`."""

_OPTION = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DataSpec:
    """A parsed specification: a known name or a user's module, the part after the colon, and the options."""

    name: str
    path: str | None
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def parse_data_spec(text: str) -> DataSpec:
    """Splits ``NAME[:PATH][,key=value...]``; trailing ``key=value`` parts are options, everything before them the path.

    >>> parse_data_spec("digits:size=32,channels=3")
    DataSpec(name='digits', path=None, options={'size': 32, 'channels': 3})
    >>> parse_data_spec("imagefolder:/data/a,b,val=0.2")
    DataSpec(name='imagefolder', path='/data/a,b', options={'val': 0.2})
    """
    name, colon, rest = text.strip().partition(":")
    pieces = rest.split(",") if colon else []
    options: dict[str, OptionValue] = {}
    while pieces and (match := _OPTION.fullmatch(pieces[-1])):
        if match[1] in options:
            raise DsdError(f"the option `{match[1]}` is given twice in `{text}`", help="keep one of them")
        options[match[1]] = option_value(match[2])
        pieces.pop()
    path = ",".join(pieces) or None
    return DataSpec(name, path, dict(reversed(options.items())))


def open_data(spec: str, **options: OptionValue) -> DataSource:
    """The data source that ``spec`` names; ``options`` given here override those in ``spec``.

    Raises DsdError for an unknown name (with the nearest known one), a missing path and an unknown option.
    """
    parsed = parse_data_spec(spec)
    merged = {**parsed.options, **options}
    if parsed.name in LOADERS:
        if DATA_SETS[parsed.name].needs_path and parsed.path is None:
            raise DsdError(f"the data set `{parsed.name}` needs a path", help=f"write `{parsed.name}:PATH`")
        loader = _load(LOADERS[parsed.name])
        _check_options(parsed.name, loader, merged)
        source: DataSource = loader(parsed.path, **merged)
        return source
    target = python_target("data", spec)
    if target is None:
        raise _unknown_name(parsed.name)
    factory = _user_factory(target)
    _check_options(target, factory, merged)
    return _checked_source(call_factory(target, factory, merged), target)


def live_source(data: object) -> DataSource:
    """A data source that a Python program gives: one of its own, or Datasets; raises :class:`DsdError` for others."""
    return _checked_source(data, "data")


def takes_option(spec: str, option: str) -> bool:
    """Whether the loader of ``spec`` has an option with that name; False for an unknown loader.

    >>> takes_option("imagefolder:/data/pets", "recipe"), takes_option("digits", "recipe")
    (True, False)
    """
    parsed = parse_data_spec(spec)
    if parsed.name in LOADERS:
        return option in _named_options(_load(LOADERS[parsed.name]))
    target = python_target("data", spec)
    return target is not None and option in _named_options(_user_factory(target))


def loader_options(name: str) -> dict[str, object]:
    """The options of a built-in data set with their defaults; None for any other."""
    loader = _load(LOADERS[name])
    parameters = inspect.signature(loader).parameters
    defaults = {option: parameters[option].default for option in _named_options(loader)}
    return {option: None if value is inspect.Parameter.empty else value for option, value in defaults.items()}


def _load(target: str) -> Callable[..., Any]:
    module, _, function = target.partition(":")
    loader: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return loader


def _user_factory(target: str) -> Callable[..., Any]:
    try:
        return load_factory(target)
    except UnknownModule as error:
        raise _unknown_name(target.partition(":")[0]) from error


def _check_options(name: str, loader: Callable[..., Any], options: Mapping[str, OptionValue]) -> None:
    """Raises an error for an option that the loader does not have."""
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(loader).parameters.values()):
        return
    known = _named_options(loader)
    for option in options:
        if option not in known:
            guess = nearest(option, known)
            advice = f"did you mean `{guess}`?" if guess else f"it has {', '.join(known) or 'no options'}"
            raise DsdError(f"the data set `{name}` has no option `{option}`", help=advice)


def _named_options(loader: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(
        parameter.name
        for parameter in inspect.signature(loader).parameters.values()
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD) and parameter.name != "path"
    )


def _checked_source(source: object, name: str) -> DataSource:
    if is_datasets(source):
        return source_of_datasets(source, name)
    required = ("name", "fingerprint", "traits", "sizes", "updates_per_epoch", "train_batches", "evaluation_batches")
    missing = [attribute for attribute in required if not hasattr(source, attribute)]
    if missing:
        raise DsdError(
            f"`{name}` gave a `{type(source).__name__}` that lacks {', '.join(f'`{item}`' for item in missing)}",
            help="a factory returns (train, val) Datasets or a DataSource, see the page on data of your own",
        )
    return source  # type: ignore[return-value]


def _unknown_name(name: str) -> DsdError:
    guess = nearest(name, tuple(LOADERS))
    known = f"known data sets: {', '.join(LOADERS)}; or `package.module:factory` of your own"
    message = f"`{name}` is not a known data set or an importable module"
    return DsdError(message, help=f"did you mean `{guess}`? {known}" if guess else known)
