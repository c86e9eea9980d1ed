"""The settings that a document is checked with, from the editor and from the project.

`[tool.dsd]` of the closest `pyproject.toml` is used as in `dsd-lint`; the editor's `initializationOptions` take
precedence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pygls.uris import to_fs_path

from dsd_lang.base.diagnostics import DOCS_URL
from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.layers_file import read_layers
from dsd_lang.base.records import record
from dsd_lang.cli.installed import model_layers
from dsd_lang.lint.codes import DEFAULT_CODES, CodeChoice, codes_of, selected_codes
from dsd_lang.lint.configuration import NOTHING_SAID, configuration_in, configuration_of

_KNOWN = ("model", "layers", "select", "extendSelect", "ignore")


@record
class Wishes:
    """The user's settings in the editor: changes to the project's rules, and the model or its layers file."""

    choice: CodeChoice = CodeChoice()
    model: str = ""
    layers: str = ""


@record
class ClientSettings:
    """The selected codes, the layers of the model if one is named, and the address of the documentation."""

    selected: frozenset[str] = DEFAULT_CODES
    layers: tuple[LayerInfo, ...] | None = None
    docs_url: str = DOCS_URL


def read_wishes(options: object) -> Wishes:
    """Reads the `initializationOptions`; raises :class:`DsdError` for invalid ones."""
    given = options if isinstance(options, Mapping) else _attributes(options)
    select = _words(given, "select")
    choice = CodeChoice(
        codes_of(select, where="`select`: ") if select else None,
        codes_of(_words(given, "extendSelect"), where="`extendSelect`: "),
        codes_of(_words(given, "ignore"), where="`ignore`: "),
    )
    wishes = Wishes(choice, _text(given, "model"), _text(given, "layers"))
    if wishes.model and wishes.layers:
        raise DsdError("`layers` and `model` cannot be used together: both give the model's layers")
    return wishes


def settings_of(uri: str, wishes: Wishes) -> ClientSettings:
    """The settings of a document; raises :class:`DsdError` for an invalid configuration."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    said = NOTHING_SAID if path is None else configuration_of(path)
    codes = wishes.choice.over(DEFAULT_CODES) if path is None else selected_codes(path, wishes.choice)
    names = (wishes.model, wishes.layers) if wishes.model or wishes.layers else (said.model, said.layers)
    return ClientSettings(codes, _layers(*names), said.docs_url or DOCS_URL)


def forget() -> None:
    """Forgets cached configurations, because a `pyproject.toml` may have changed."""
    configuration_in.cache_clear()


def _layers(model: str, path: str) -> tuple[LayerInfo, ...] | None:
    if path:
        return read_layers(path)
    return model_layers(model) if model else None


def _attributes(options: object) -> dict[str, Any]:
    """The options as plain data; pygls passes an object with attributes, or None."""
    return {name: getattr(options, name) for name in _KNOWN if hasattr(options, name)}


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise DsdError(f"the option `{name}` must be a string")
    return value or ""


def _words(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name)
    words = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise DsdError(f"the option `{name}` must be a list of rules", help='write `["DSD303", "DSD9"]`')
    return list(words)
