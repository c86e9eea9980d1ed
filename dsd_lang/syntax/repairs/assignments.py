"""Repairs the sign between a name and its value: `scope==global`, `set lr 0.1`, `lr: 0.1`, `until val.err = 0.1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.syntax.phase_items import ARGUMENT_NAMES
from dsd_lang.syntax.terminals import SELECTING_WORDS, SIMPLE_VALUES, STATEMENT_WORDS, Token, before

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery


def doubled_equals(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`scope==global`."""
    name = recovery.driver.tokens[index - 1] if index else token
    if token.text != "==" or "SELECTING" not in accepted or name.text not in (*ARGUMENT_NAMES, *SELECTING_WORDS):
        return None
    recovery.report(
        "DSD101",
        f"an argument is written `{name.text}=...`, found `{name.text}==`",
        name.span.to(token.span),
        label=f"did you mean `{name.text}=`?",
        fix=replacement(token.span, "="),
    )
    return recovery.skip(index)


def missing_equals(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`set lr 0.1`, `fork seeds 3 { ... }`, `compare a vs b on test.err`."""
    is_option = "EQUAL" in accepted and "RPAR" in accepted and token.kind in ("NUMBER", "LENGTH")
    if (accepted != {"EQUAL"} and not is_option) or token.kind not in SIMPLE_VALUES or not index:
        return None
    tokens = recovery.driver.tokens
    name = tokens[index - 1]
    if name.kind != "NAME" or (name.text not in BY_NAME and not is_option):
        return None
    gap = Span(*name.span[2:4], *token.span[:2], name.span.end, token.span.start)
    recovery.report(
        "DSD101",
        f"the argument `{name.text}` needs a `=` before its value",
        name.span,
        label="an `=` is missing after this",
        fix=Fix("put in the `=`", (Edit(gap, "="),)),
    )
    tokens.insert(index, Token("EQUAL", "", before(token.span)))
    return index


def assignment_in_condition(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`until val.err = 0.1`."""
    if token.kind != "EQUAL" or "COMPARATOR" not in accepted:
        return None
    recovery.report(
        "DSD101",
        "a condition compares with `<`, `<=`, `>`, `>=`, `==` or `!=`, found `=`",
        token.span,
        label="did you mean `==`?",
        fix=replacement(token.span, "=="),
    )
    recovery.driver.tokens[index] = Token("COMPARATOR", "==", token.span)
    return index


def setting_as_label(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`lr: 0.1` on its own line, as in YAML."""
    tokens = recovery.driver.tokens
    if index < 2 or tokens[index - 1].kind != "COLON" or tokens[index - 2].kind != "LABEL":
        return None
    name = tokens[index - 2]
    from dsd_lang.base.foreign_words import FOREIGN_ARGUMENTS

    row, meant = BY_NAME.get(name.text), FOREIGN_ARGUMENTS.get(name.text.lower())
    if token.kind in STATEMENT_WORDS or (row is None and meant is None and token.kind not in SIMPLE_VALUES):
        return None
    if row is not None and "set" in row.places and token.kind in SIMPLE_VALUES and token.span.line == name.span.line:
        gap = Span(*name.span[:2], *token.span[:2], name.span.start, token.span.start)
        fix = Fix(f"write `set {name.text}=`", (Edit(gap, f"set {name.text}="),))
        recovery.report(
            "DSD101",
            f"a setting is written `set {name.text}=`, not `{name.text}:`",
            name.span,
            label=f"write `set {name.text}={token.text}`",
            fix=fix,
        )
    else:
        recovery.report(
            "DSD101",
            f"`{name.text}:` is a label, and no phase follows it",
            name.span,
            label="expected `dense` or `sparse` after the `:`",
            help=meant.help if meant is not None else "settings are written `set lr=0.1`, phases `base: dense 50ep`",
        )
    return recovery.skip(index)
