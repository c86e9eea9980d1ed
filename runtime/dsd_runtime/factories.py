"""Imports and calls a user's own `package.module:factory`, and reports its failures in one sentence.

Options stand behind it as text (`package.module:factory,depth=3`).
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
    """No module of that name can be imported."""


def load_factory(target: str) -> Callable[..., Any]:
    """The function that ``target`` names; its module is looked for in the working folder last.

    Importing a module runs it: whoever calls this answers for where the name came from (see `experiment/trust.py`).
    Raises :class:`UnknownModule` when the module is not there, and :class:`DsdError` when it cannot be imported or has
    no such function.
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
    """Lets modules of the working folder be imported, after all others: a file there stands in for no other module."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def _other_module(name: str, module: object) -> str | None:
    """What to do when a file of the working folder was meant, but an installed module of that name was imported."""
    own = Path.cwd() / f"{name.partition('.')[0]}.py"
    found = getattr(module, "__file__", None)
    if not own.is_file() or (found is not None and Path(found).resolve() == own.resolve()):
        return None
    return f"`{name}` is a different module ({found or 'built in'}), not `{own.name}` of this folder: rename your file"


def call_factory(target: str, factory: Callable[..., Any], arguments: Mapping[str, object]) -> Any:
    """What the factory gives; raises :class:`DsdError` naming it, with the original error and where it was raised."""
    try:
        return factory(**arguments)
    except DsdError:
        raise
    except Exception as error:
        raise failure(f"the factory `{target}` failed", error) from error


def option_value(text: str) -> int | float | bool | str:
    """An option's value as it was written: a whole number, a number, `on`/`off` or `true`/`false`, else the text.

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
    """What went wrong in code of the user's, in a sentence, with where it was raised."""
    told = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f"it was raised in {frames[-1].filename}, line {frames[-1].lineno}" if frames else None
    return UserCodeError(f"{what}: {type(error).__name__}{f': {told}' if told else ''}", help=place)
