"""Decides which rules are on for a file: the defaults, then `[tool.dsd.lint]`, then the command line."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.lint.configuration import Configuration, configuration_of
from dsd_lang.lint.project import matches

DEFAULT_CODES = frozenset(entry.code for entry in CATALOGUE.values() if entry.default)


class CodeChoice(NamedTuple):
    """Codes that replace the current ones (None: keep them), codes to add, and codes to remove last."""

    select: frozenset[str] | None = None
    extend_select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()

    def over(self, codes: frozenset[str]) -> frozenset[str]:
        """The selected codes if ``codes`` were selected before."""
        return ((codes if self.select is None else self.select) | self.extend_select) - self.ignore


def codes_of(words: Sequence[str], *, where: str = "") -> frozenset[str]:
    """The codes meant by words, which may be joined by commas: a code, a prefix (`DSD3`), a name, or `ALL`.

    Raises :class:`DsdError` for any other word; ``where`` precedes the message and says where the word is.

    >>> sorted(codes_of(["DSD40", "ends-sparse"]))[:2]
    ['DSD303', 'DSD401']
    """
    named = [word.strip() for item in words for word in item.split(",") if word.strip()]
    if words and not named:
        raise DsdError(f"{where}expected a rule", help="give a code (`DSD303`), a prefix (`DSD3`), a name or `ALL`")
    return frozenset(code for word in named for code in _codes_of(word, where))


def _codes_of(word: str, where: str) -> list[str]:
    upper = word.upper()
    if upper == "ALL":
        return list(CATALOGUE)
    found = [entry.code for entry in CATALOGUE.values() if entry.name == word.lower()]
    found = found or [code for code in CATALOGUE if upper.startswith("DSD") and code.startswith(upper)]
    if not found:
        guess = nearest(word, [*CATALOGUE, *(entry.name for entry in CATALOGUE.values())])
        raise DsdError(
            f"{where}unknown rule `{word}`",
            help=f"did you mean `{guess}`?" if guess else "select rules by code, by prefix or by name",
        )
    return found


def selected_codes(path: str, choice: CodeChoice = CodeChoice()) -> frozenset[str]:  # noqa: B008  (a constant)
    """The codes selected for a file: those of its project, changed by ``choice``, without its `per-file-ignores`."""
    said = configuration_of(path)
    if not said.path:
        return choice.over(DEFAULT_CODES)
    codes = choice.over(_configured(said).over(DEFAULT_CODES))
    for glob, words in said.per_file_ignores:
        ignored = codes_of(words, where=f"`{said.path}`: `per-file-ignores`: ")
        if matches(glob, said.folder, path):
            codes -= ignored
    return codes


def _configured(said: Configuration) -> CodeChoice:
    where = f"`{said.path}`: "
    return CodeChoice(
        None if said.select is None else codes_of(said.select, where=f"{where}`select`: "),
        codes_of(said.extend_select, where=f"{where}`extend-select`: "),
        codes_of(said.ignore, where=f"{where}`ignore`: "),
    )
