"""Repairs reserved words that are misspelt, missing, or used as a name or a value: `untill`, `for in in 1, 2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.syntax.terminals import STATEMENT_WORDS, Token, before, clipped
from dsd_lang.syntax.unexpected import expected_here

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

_CONNECTIVES = frozenset({"IN", "VS", "AS", "THEN", "UNTIL", "HELD", "AND", "OR", "NOT"})


def repeat_without_then(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`repeat dense lr=3`."""
    if token.kind != "DENSE" or recovery.kind(index - 1) != "REPEAT":
        return None
    point = before(token.span)
    recovery.report(
        "DSD101",
        "the dense phase of a `repeat` follows the word `then`",
        token.span,
        label="`then` is missing",
        help="write `repeat then dense ...`; to begin a new phase, put a `;` after `repeat`",
        fix=Fix("put in `then `", (Edit(point, "then "),)),
    )
    recovery.driver.tokens.insert(index, Token("THEN", "", point))
    return index


def repeat_without_count(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`repeat { ... }`."""
    previous = recovery.driver.tokens[index - 1] if index else token
    if token.kind not in ("LBRACE", "AS") or previous.kind != "REPEAT":
        return None
    recovery.report(
        "DSD101",
        "a `repeat` block needs its number of rounds",
        previous.span,
        label="how often?",
        help="write `repeat 3 { ... }`; with `until COND` the number is the most rounds there can be",
    )
    recovery.driver.tokens.insert(index, Token("NUMBER", "", token.span))
    return index


def misspelt_connective(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`for x on 1, 2`, `compare a with b`, `repeat 3 untill val.err < 1 { ... }`."""
    if token.kind == "NAME" and accepted <= _CONNECTIVES and len(accepted) == 1:  # no other word is possible here
        return _take_for(recovery, index, next(iter(accepted)).lower())
    written = recovery.driver.tokens[index - 1] if index else token
    if written.kind != "NAME" or accepted != {"EQUAL"}:  # it was lexed as the name of an argument
        return None
    meant = [kind for kind in _CONNECTIVES if recovery.stacks.accepts(1, kind)]
    word = nearest(written.text.lower(), [kind.lower() for kind in meant])
    if word is None:
        return None
    recovery.stacks.pop(1)
    return _take_for(recovery, index - 1, word)


def _take_for(recovery: Recovery, index: int, word: str) -> int:
    """Treats a name as the reserved word that it most likely means."""
    token = recovery.driver.tokens[index]
    recovery.report(
        "DSD101",
        f"expected `{word}`, found `{clipped(token.text)}`",
        token.span,
        label=f"did you mean `{word}`?",
        fix=replacement(token.span, word),
    )
    recovery.driver.tokens[index] = Token(word.upper(), word, token.span)
    recovery.guessed.append(token.span.start)
    return index


def misspelt_until(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 5ep untill val.err < 1`, `dense 5ep while val.err > 1`."""
    tokens = recovery.driver.tokens
    if token.kind != "COMPARATOR" or index < 3 or "SELECTING" not in accepted:
        return None
    word, begin = tokens[index - 2], index - 2
    if not recovery.can_rewind_to(begin):
        begin = recovery.statement_start(index)  # the word is in the list of items: read the statement again
    if word.kind != "NAME" or begin > index - 2 or not recovery.can_rewind_to(begin):
        return None
    from dsd_lang.base.foreign_words import ITEMS

    meant = ITEMS.get(word.text.lower())
    if meant is None and nearest(word.text.lower(), ("until",)) is None:
        return None
    recovery.report(
        "DSD101",
        f"a phase has no `{word.text}`",
        word.span,
        label="" if meant is not None else "did you mean `until`?",
        help=meant.help if meant is not None else "",
        fix=None if meant is not None else replacement(word.span, "until"),
    )
    recovery.rewind_to(begin)
    tokens[index - 2] = Token("UNTIL", "until", word.span)
    return begin


def reserved_word(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`for in in 1, 2`, `lr=then`."""
    if token.text not in recovery.driver.keywords or "NAME" not in accepted or "UNTIL" in accepted:
        return None
    if "NUMBER" not in accepted:
        from dsd_lang.base.foreign_words import LAYERS

        kind = LAYERS.get(token.text) if "REGEX" in accepted else None
        recovery.report(
            "DSD103",
            f"the reserved word `{token.text}` cannot be a name",
            token.span,
            label=f"did you mean `{kind}`?" if kind else "choose another name",
            fix=replacement(token.span, kind) if kind else None,
        )
        recovery.driver.tokens[index] = Token("NAME", token.text, token.span)
        return index
    if token.kind in STATEMENT_WORDS:
        return None
    recovery.report(
        "DSD103",
        f"the reserved word `{token.text}` cannot be a value",
        token.span,
        label=f"expected {expected_here(recovery, accepted)}",
    )
    return recovery.skip(index)
