"""The settings that a document is checked with: from the editor's configuration and from the project's.

`[tool.dsd]` of the closest `pyproject.toml` counts as it does for `dsd-lint`; the editor's `initializationOptions` win.
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
    """What the editor's user wants: rules over those of the project, and the model, by name or as a file of layers."""

    choice: CodeChoice = CodeChoice()
    model: str = ""
    layers: str = ""


@record
class ClientSettings:
    """The codes looked for, the layers of the model if one is named, and where the documentation is."""

    selected: frozenset[str] = DEFAULT_CODES
    layers: tuple[LayerInfo, ...] | None = None
    docs_url: str = DOCS_URL


def read_wishes(options: object) -> Wishes:
    """The `initializationOptions`; raises :class:`DsdError` for what cannot be used."""
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
    """What holds for a document; raises :class:`DsdError` for a configuration that cannot be used."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    said = NOTHING_SAID if path is None else configuration_of(path)
    codes = wishes.choice.over(DEFAULT_CODES) if path is None else selected_codes(path, wishes.choice)
    names = (wishes.model, wishes.layers) if wishes.model or wishes.layers else (said.model, said.layers)
    return ClientSettings(codes, _layers(*names), said.docs_url or DOCS_URL)


def forget() -> None:
    """A `pyproject.toml` may have changed: it is read again."""
    configuration_in.cache_clear()


def _layers(model: str, path: str) -> tuple[LayerInfo, ...] | None:
    if path:
        return read_layers(path)
    return model_layers(model) if model else None


def _attributes(options: object) -> dict[str, Any]:
    """The options as pygls hands them out: an object with attributes, or nothing."""
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
