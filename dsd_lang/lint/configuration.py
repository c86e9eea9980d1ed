"""Reads a project's configuration from the closest pyproject.toml: `[tool.dsd]` and `[tool.dsd.lint]`.

Only the closest `pyproject.toml` upwards that has one of these tables is used. If a project has none, no TOML is
parsed.
"""

from __future__ import annotations

import os
import re
from functools import cache

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.files import read_if_file, unreadable
from dsd_lang.base.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    _Kind = Literal["text", "texts", "table of texts"]


FILE = "pyproject.toml"
_MAY_SAY = (  # `[tool.dsd`, `tool.dsd.model =`, `[tool]`, `tool = {`, with blanks and quotes as in TOML
    rb"""tool["']?[ \t]*\.[ \t]*["']?dsd|^[ \t]*\[[ \t]*["']?tool["']?[ \t]*\]|^[ \t]*tool[ \t]*="""
)
_KEYS: dict[str, dict[str, _Kind]] = {
    "tool.dsd": {
        "exclude": "texts",
        "output-format": "text",
        "model": "text",
        "layers": "text",
        "docs-url": "text",
    },
    "tool.dsd.lint": {
        "select": "texts",
        "extend-select": "texts",
        "ignore": "texts",
        "per-file-ignores": "table of texts",
    },
}
_EXAMPLES: dict[_Kind, str] = {
    "text": '`{key} = "..."`',
    "texts": '`{key} = ["...", "..."]`',
    "table of texts": '`{key} = {{ "old/*.dsd" = ["DSD303"] }}`',
}


@record
class Configuration:
    """The contents of one `pyproject.toml`; ``path`` is empty if there is none. None and empty mean "not given"."""

    path: str = ""
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[str, ...] = ()
    output_format: str = ""
    model: str = ""
    layers: str = ""
    docs_url: str = ""

    @property
    def folder(self) -> str:
        """The folder that its globs and paths are relative to."""
        return os.path.dirname(self.path)


NOTHING_SAID = Configuration()


def configuration_of(path: str) -> Configuration:
    """The configuration for a file (which need not exist); raises :class:`DsdError` for an invalid one."""
    return configuration_in(os.path.dirname(os.path.abspath(path)))


@cache
def configuration_in(folder: str) -> Configuration:
    """The configuration for a folder, given as an absolute path."""
    path = os.path.join(folder, FILE)
    said = _read(path)
    if said is not None:
        return _configuration(path, said)
    above = os.path.dirname(folder)
    return NOTHING_SAID if above == folder else configuration_in(above)


def _read(path: str) -> dict[str, Any] | None:
    """The table `tool.dsd` of a file; None if there is no table or no file."""
    try:
        data = read_if_file(path)
    except OSError as error:
        raise unreadable(path, error) from error
    if data is None or b"dsd" not in data or re.search(_MAY_SAY, data, re.MULTILINE) is None:
        return None
    import tomllib

    try:
        table = tomllib.loads(data.decode("utf-8")).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        told = str(error)[:1].lower() + str(error)[1:]
        raise DsdError(f"`{path}` is not a TOML file: {told}", help="`[tool.dsd]` is read from it") from error
    said = table.get("dsd") if isinstance(table, dict) else None
    if said is not None and not isinstance(said, dict):
        raise _no_table(path, "tool.dsd")
    return said


def _configuration(path: str, said: dict[str, Any]) -> Configuration:
    lint = said.get("lint", {})
    if not isinstance(lint, dict):
        raise _no_table(path, "tool.dsd.lint")
    values: dict[str, Any] = {}
    own = {key: value for key, value in said.items() if key != "lint"}
    for section, table in (("tool.dsd", own), ("tool.dsd.lint", lint)):
        for key, value in table.items():
            kind = _KEYS[section].get(key)
            if kind is None:
                raise _unknown_key(path, section, key)
            values[key.replace("-", "_")] = _checked(value, kind, f"`{path}`: `{key}` in `[{section}]`", key)
    if values.get("layers") and values.get("model"):
        raise DsdError(
            f"`{path}`: `layers` and `model` cannot be used together: both give the model's layers",
            help="keep one of them",
        )
    if values.get("layers"):
        values["layers"] = os.path.join(os.path.dirname(path), values["layers"])
    return Configuration(path, **values)


def _no_table(path: str, section: str) -> DsdError:
    return DsdError(f"`{path}`: `{section}` must be a table", help=f"write `[{section}]` and its keys below it")


def _unknown_key(path: str, section: str, key: str) -> DsdError:
    elsewhere = next((other for other, keys in _KEYS.items() if key in keys), None)
    guess = nearest(key.replace("_", "-"), list(_KEYS[section]))
    if elsewhere is not None:
        help = f"`{key}` belongs to `[{elsewhere}]`"
    else:
        help = f"did you mean `{guess}`?" if guess else f"expected one of {', '.join(_KEYS[section])}"
    return DsdError(f"`{path}`: `[{section}]` has no key `{key}`", help=help)


def _checked(value: Any, kind: _Kind, what: str, key: str) -> Any:
    if kind == "text" and isinstance(value, str):
        return value
    if kind == "texts" and _is_texts(value):
        return tuple(value)
    if kind == "table of texts" and isinstance(value, dict) and all(_is_texts(item) for item in value.values()):
        return tuple((glob, tuple(codes)) for glob, codes in value.items())
    wanted = {"text": "a text", "texts": "a list of strings", "table of texts": "a table of lists of strings"}[kind]
    raise DsdError(f"{what} must be {wanted}", help=f"write it as {_EXAMPLES[kind].format(key=key)}")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
