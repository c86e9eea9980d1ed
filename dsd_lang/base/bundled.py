"""Finds the schedules that are installed with the package, so that `dsd-run quickstart` needs no checkout.

In a wheel they are in `dsd_lang/schedules/`; in a checkout in `schedules/`, beside the package.
"""

from __future__ import annotations

from pathlib import Path

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.files import SUFFIX

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled_schedules() -> dict[str, Path]:
    """The schedules by name, sorted; empty if neither folder exists."""
    for folder in (_PACKAGE / "schedules", _PACKAGE.parent / "schedules"):
        found = {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}
        if found:
            return found
    return {}


def may_be_bundled(word: str) -> bool:
    """Whether a word can mean a bundled schedule: a plain name (`quickstart`), and no file has it."""
    path = Path(word)
    return path.name == word and not path.suffix and word != "-" and not path.exists()


def schedule_path(word: str) -> Path:
    """The file that a word on a command line means: the file of that name, else the bundled schedule.

    Raises :class:`DsdError` for a plain name that is neither.
    """
    if not may_be_bundled(word):
        return Path(word)
    schedules = bundled_schedules()
    if word in schedules:
        return schedules[word]
    guess = nearest(word, tuple(schedules))
    known = f"bundled schedules: {', '.join(schedules)}" if schedules else "give the path of a .dsd file"
    raise DsdError(
        f"`{word}` is not a file or a bundled schedule",
        help=f"did you mean `{guess}`? {known}" if guess else known,
    )
