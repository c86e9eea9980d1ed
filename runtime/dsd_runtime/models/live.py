"""A model factory of a running Python program: how it builds, and what tells its results from those of other code.

A factory that is named on the command line is known by its name. A live one may be changed and run again in the same
notebook, so its fingerprint is part of the keys of what it trains.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.factories import call_factory
from dsd_runtime.models.registry import accepted_values, checked_model
from dsd_runtime.storage.checkpoint import weights_fingerprint

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LIBRARIES = ("torch", "torchvision", "torchaudio", "dsd_runtime")


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A callable that builds a module; ``key`` is the user's own name for what it builds."""

    factory: Callable[..., Any]
    key: str | None = None

    @property
    def name(self) -> str:
        """`module:function`, as far as the callable has a name."""
        named = self.factory.func if isinstance(self.factory, functools.partial) else self.factory
        kind = type(named)
        return f"{getattr(named, '__module__', kind.__module__)}:{getattr(named, '__qualname__', kind.__qualname__)}"

    def build(self, traits: DataTraits) -> nn.Module:
        """A new model; the factory gets the properties of the data that it has parameters for."""
        values = accepted_values(self.factory, traits)
        return checked_model(partial(call_factory, self.name, self.factory, values), self.name)

    def fingerprint(self, traits: DataTraits) -> str:
        """Of ``key``, else of the source of the factory and of the modules' classes, their structure and first weights.

        What the factory captures counts as far as it shows in the structure or the first weights. Raises
        :class:`DsdError` if a source cannot be read and there is no ``key``.
        """
        if self.key is not None:
            return _digest([self.key])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = self.build(traits)
        kinds = dict.fromkeys(type(module) for module in model.modules())
        own = [kind for kind in kinds if kind.__module__.partition(".")[0] not in _LIBRARIES]
        sources = [text for one in (self.factory, *own) for text in self._sources(one)]
        return _digest([*sources, repr(model), weights_fingerprint(model.state_dict())])

    def _sources(self, one: Any) -> Iterator[str]:
        """The source of a callable; of a class from a notebook that of its methods."""
        if isinstance(one, functools.partial):
            yield repr((one.args, one.keywords))
            one = one.func
        if not isinstance(one, type) and not inspect.isroutine(one):
            one = type(one)
        try:
            yield inspect.getsource(one)
        except (OSError, TypeError):
            methods = (
                [value for value in vars(one).values() if inspect.isfunction(value)] if isinstance(one, type) else []
            )
            if not methods:
                raise self._unreadable(one) from None
            for method in methods:
                try:
                    yield inspect.getsource(method)
                except (OSError, TypeError):
                    raise self._unreadable(one) from None

    def _unreadable(self, one: Any) -> DsdError:
        return DsdError(
            f"the source of `{getattr(one, '__qualname__', one)}` cannot be read, so what it trains could not be told "
            "from what other code has trained",
            help='name it by `model_key="..."`, another name whenever its code changes',
        )


def live_model(factory: object, key: str | None) -> LiveModel:
    """Raises :class:`DsdError` for what is no factory: a module is one model, and a run builds several."""
    if isinstance(factory, nn.Module):
        raise DsdError(
            f"`model=` is a `{type(factory).__name__}` that is built already, and a run builds its models anew",
            help="give a function that builds it, for instance `lambda: Net(width=64)`",
        )
    if not callable(factory):
        raise DsdError(
            f"`model=` is a `{type(factory).__name__}`", help="give the name of a model, or a function that builds one"
        )
    return LiveModel(factory, key)


def _digest(parts: list[str]) -> str:
    """Without the addresses that a repr may have."""
    return hashlib.sha256(_ADDRESS.sub("", "\0".join(parts)).encode()).hexdigest()[:16]
