"""Recognises keywords in capitals or with letters of other scripts.

`sparsе` with a Cyrillic letter, `ﬁrst_conv` with a ligature, `AND` in a condition, `UNTIL`. Imported only when a word
with a capital or a letter outside ASCII occurs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from dsd_lang.base.arguments import ARGUMENTS, BY_NAME
from dsd_lang.base.diagnostics import Diagnostic, Span, replacement
from dsd_lang.base.layers import KINDS, ROLES
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.lookalikes import named_character
from dsd_lang.syntax.terminals import STATEMENT_WORDS

# letters of other alphabets that look like Latin ones
_LATIN = str.maketrans(
    "аеорсухіјѕһԁɡαοεικνρτυωАВЕКМНОРСТХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijshdgaoeiknptuwABEKMHOPCTXABEZHIKMNOPTYX"
)
_OPTIONS = frozenset(option.name for argument in ARGUMENTS for option in argument.options)
_VALUE_MAY_END = frozenset({"NUMBER", "LENGTH", "NAME", "DOTTED", "RPAR", "REFERENCE"})


class MeantWord(NamedTuple):
    """The word that was meant, and its diagnostic."""

    word: str
    diagnostic: Diagnostic


def read_word(source: str, text: str, span: Span, keywords: Mapping[str, str], previous: str) -> MeantWord | None:
    """The word meant by ``text``; ``previous`` is the kind of the token before it."""
    if not text.isascii():
        return _letters(text, span, keywords)
    word = text.lower()
    if keywords.get(word, "") in STATEMENT_WORDS or word not in keywords or previous not in _VALUE_MAY_END:
        return None
    if re.search(rf"(?:\b(?:for|sweep|as)[ \t]+{text}\b)|(?:\b{text}[ \t]*[:=.])|(?:,[ \t]*{text}[ \t]+in\b)", source):
        return None  # a user's own name
    message = f"the word `{word}` is written in lower case"
    fix = replacement(span, word)
    return MeantWord(word, Diagnostic("DSD101", message, span, f"write `{word}`", fix=fix))


def _letters(text: str, span: Span, keywords: Mapping[str, str]) -> MeantWord | None:
    """A word of the language in which some letters are replaced by similar ones."""
    value = unicodedata.numeric(text, None) if len(text) == 1 else None
    if value is not None:
        number = f"{value:g}"
        message = f"`{text}` ({named_character(text)}) is not a number of this language"
        fix = replacement(span, number)
        return MeantWord(number, Diagnostic("DSD101", message, span, f"write `{number}`", fix=fix))
    word = unicodedata.normalize("NFKC", text).translate(_LATIN)
    if word.lower() not in keywords and word not in BY_NAME and word not in _OPTIONS and word not in (*KINDS, *ROLES):
        return None
    foreign = next(character for character in text if not character.isascii())
    message = f"`{text}` is not `{word}`: it has `{foreign}` ({named_character(foreign)}) in it"
    fix = replacement(span, word)
    return MeantWord(word, Diagnostic("DSD101", message, span, f"write `{word}`", fix=fix))
