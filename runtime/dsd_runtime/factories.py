"""Imports and calls a user's `package.module:factory`, and reports its failures in one sentence.

Options follow as text (`package.module:factory,depth=3`).
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError, nearest
from dsd_runtime.user_code import UserCodeError

_WORDS: Mapping[str, bool] = {"on": True, "true": True, "off": False, "false": False}


class UnknownModule(DsdError):
    """There is no module with that name."""


def load_factory(target: str) -> Callable[..., Any]:
    """The function that ``target`` names; the working folder is searched last for its module.

    Importing a module runs it, so the caller must trust the origin of the name (see `experiment/trust.py`). Raises
    :class:`UnknownModule` if the module does not exist, and :class:`DsdError` if it cannot be imported or has no such
    function.
    """
    module_name, _, attribute = target.partition(":")
    _look_in_working_folder()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise UnknownModule(
                f"`{target}` does not name an importable module",
                help="write `package.module:factory` with the module on the Python path, or a built-in name",
            ) from error
        message = f"`{module_name}` needs the module `{error.name}`, which is not installed"
        raise DsdError(message, help="install it and run again") from error
    except DsdError:
        raise
    except Exception as error:
        raise failure(f"the module `{module_name}` cannot be imported", error) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        names = tuple(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        guess = nearest(attribute, names)
        known = f"did you mean `{module_name}:{guess}`?" if guess else f"it has {', '.join(names) or 'none'}"
        raise DsdError(
            f"the module `{module_name}` has no function `{attribute}`",
            help=_other_module(module_name, module) or known,
        )
    return factory  # type: ignore[no-any-return]


def _look_in_working_folder() -> None:
    """Adds the working folder to the end of the import path, so that its files do not shadow other modules."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def _other_module(name: str, module: object) -> str | None:
    """Advice if a file in the working folder was meant but an installed module with that name was imported."""
    own = Path.cwd() / f"{name.partition('.')[0]}.py"
    found = getattr(module, "__file__", None)
    if not own.is_file() or (found is not None and Path(found).resolve() == own.resolve()):
        return None
    return f"`{name}` is a different module ({found or 'built in'}), not `{own.name}` of this folder: rename your file"


def call_factory(target: str, factory: Callable[..., Any], arguments: Mapping[str, object]) -> Any:
    """Calls the factory; raises :class:`DsdError` with its name, the original error and its file and line."""
    try:
        return factory(**arguments)
    except DsdError:
        raise
    except Exception as error:
        raise failure(f"the factory `{target}` failed", error) from error


def option_value(text: str) -> int | float | bool | str:
    """An option's value from text: a whole number, a number, `on`/`off` or `true`/`false`, else the text itself.

    >>> option_value("3"), option_value("1e-3"), option_value("off"), option_value("relu")
    (3, 0.001, False, 'relu')
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def failure(what: str, error: Exception) -> UserCodeError:
    """A sentence about an error in the user's code, with its file and line."""
    told = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    origin = f"it was raised in {frames[-1].filename}, line {frames[-1].lineno}" if frames else None
    return UserCodeError(f"{what}: {type(error).__name__}{f': {told}' if told else ''}", help=origin)
