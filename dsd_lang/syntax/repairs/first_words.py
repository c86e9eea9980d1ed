"""Repairs a word that does not begin a statement: `spares`, `prune`, `dense50ep`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsd_lang.base.arguments import BY_NAME, allowed_at
from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.syntax.terminals import Token, before, clipped

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

_GLUED = re.compile(r"(dense|sparse)(\d+(?:\.\d+)?(?:%|ep|it))(?![\w.%])")
_WORDS_FOR_NAMES = (
    "dense", "sparse", "set", "repeat", "for", "sweep", "fork", "compare", "expect", "let", "def", "use"
)  # fmt: skip
_FOLLOWED_BY = {"let": ("NAME", "EQUAL"), "def": ("NAME", "LPAR"), "use": ("STRING",)}
"""Words that stand for others only before what follows those."""


def first_word(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`spares 0.5`, or `lr=3` without `set`."""
    if token.kind not in ("NAME", "SELECTING") or not {"DENSE", "LABEL"} <= accepted:
        return None
    is_branch = "SET" not in accepted
    if recovery.kind(index + 1) == "EQUAL" and not is_branch:
        if token.text not in BY_NAME:
            return _assignment(recovery, index, token)
        point = before(token.span)
        recovery.report(
            "DSD101",
            f"expected a statement, found the argument `{token.text}=`",
            token.span,
            label="a setting begins with `set`, and an argument belongs on the line of its phase",
            help=f"write `set {token.text}=...`, or end the line above with `\\`",
            fix=Fix("put in `set `", (Edit(point, "set "),)),
        )
        recovery.driver.tokens.insert(index, Token("SET", "", point))
        return index
    if len(token.text) > 40 or (recovery.kind(index + 1) == "LABEL" and token.text.lower() not in _WORDS_FOR_NAMES):
        return None
    words = _WORDS_FOR_NAMES[:2] if is_branch else _WORDS_FOR_NAMES
    glued = _glued(recovery, index, token)
    if glued is not None:
        return glued
    word, help = _statement_meant(token.text, words)
    expected = _FOLLOWED_BY.get(word or "", ())
    if any(recovery.kind(index + ahead) != kind for ahead, kind in enumerate(expected, start=1)):
        word = None
    if help and word is None and not is_branch:
        recovery.report("DSD101", f"`{token.text}` is not a statement", token.span, label="unknown here", help=help)
        return recovery.skip(index)
    follows = recovery.kind(index + 1)
    if word is None and follows == "LPAR":
        help = "a name is called below its `def`, or below the `use` of the file that has it"
        recovery.report("DSD101", f"`{token.text}` is not a statement", token.span, label="unknown here", help=help)
        return recovery.skip(index)
    is_alone = follows in ("_SEPARATOR", "RBRACE", "$END")
    if word is None and is_alone and not is_branch and not any(one.startswith(token.text) for one in words):
        help = f"a `def` is called with parentheses: `{token.text}()`"
        recovery.report("DSD101", f"`{token.text}` is not a statement", token.span, label="unknown here", help=help)
        return recovery.skip(index)
    if word is None or follows == "EQUAL" or (follows == "LBRACE" and is_branch):
        return None
    recovery.report(
        "DSD101",
        f"`{token.text}` is not a statement",
        token.span,
        label=f"did you mean `{word}`?",
        help=help,
        fix=replacement(token.span, word),
    )
    recovery.driver.tokens[index] = Token(word.upper(), word, token.span)
    recovery.guessed.append(token.span.start)
    return index


def _assignment(recovery: Recovery, index: int, token: Token) -> int:
    """`s = 50%`, `epochs = 50`: not an argument, so not a setting either."""
    from dsd_lang.base.foreign_words import FOREIGN_ARGUMENTS

    meant, known = FOREIGN_ARGUMENTS.get(token.text.lower()), allowed_at("set")
    guess = meant.word if meant is not None and meant.word in known else None
    guess = guess or (None if meant is not None else nearest(token.text, known))
    if guess is None and meant is None:
        point = before(token.span)
        recovery.report(
            "DSD101",
            f"`{clipped(token.text)}` is not a setting: a value is named by `let`",
            token.span,
            label=f"write `let {clipped(token.text)} = ...`",
            fix=Fix("put in `let `", (Edit(point, "let "),)),
        )
        recovery.driver.tokens.insert(index, Token("LET", "", point))
        return index
    recovery.report(
        "DSD101",
        f"`{clipped(token.text)}` is not a setting",
        token.span,
        label=f"did you mean `set {guess}=`?" if guess else "unknown here",
        help=meant.help if meant is not None else "",
        fix=replacement(token.span, f"set {guess}") if guess else None,
    )
    return recovery.skip(index)


def _statement_meant(text: str, words: tuple[str, ...]) -> tuple[str | None, str]:
    """The statement that a word most likely means, and a line of help."""
    from dsd_lang.base.foreign_words import STATEMENTS

    word = text.lower()
    if word in words:
        return word, ""
    meant = STATEMENTS.get(word)
    if meant is not None:
        return (meant.word if meant.word in words else None), meant.help
    return nearest(word, words), ""


def _glued(recovery: Recovery, index: int, token: Token) -> int | None:
    """`dense50ep`, `sparse50%`: no blank after the keyword."""
    found = _GLUED.match(recovery.scanned.text, token.span.start)
    if found is None:
        return None
    word, rest = found[1], found[2]
    value = Span(
        token.span.line, token.span.column + len(word), *token.span[2:4], token.span.start + len(word), found.end()
    )
    value = value._replace(end_column=token.span.column + len(found[0]))
    recovery.report(
        "DSD101",
        f"`{found[0]}` needs a space after `{word}`",
        token.span._replace(end_column=token.span.column + len(found[0]), end=found.end()),
        label=f"write `{word} {rest}`",
        fix=Fix("put in a space", (Edit(before(value), " "),)),
    )
    kind = "LENGTH" if rest[-1].isalpha() else "NUMBER"
    end = index
    while recovery.driver.tokens[end].kind != "$END" and recovery.driver.tokens[end].span.start < found.end():
        end += 1
    head = token.span._replace(end_column=value.column, end=value.start)
    recovery.driver.tokens[index:end] = [Token(word.upper(), word, head), Token(kind, rest, value)]
    recovery.covered.append((token.span.start, found.end()))
    return index
