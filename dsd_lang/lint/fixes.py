"""Applies all fixes that do not overlap, and repeats until there are none left.

Safe fixes are applied first and separately, and are verified: the plan's hash must be the same before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dsd_lang.base.diagnostics import CATALOGUE, Diagnostic, Edit, Fix
from dsd_lang.base.errors import DsdError
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.bare_tree import bare

MAX_ROUNDS = 50
Check = Callable[[str], Sequence[Diagnostic]]


class Fixed(NamedTuple):
    """The text after the fixes of ``applied``."""

    text: str
    applied: tuple[Diagnostic, ...]


class Mended(NamedTuple):
    """The text when no more fixes can be applied, the diagnostics that were fixed, and those that remain."""

    text: str
    applied: tuple[Diagnostic, ...]
    diagnostics: tuple[Diagnostic, ...]


def is_applicable(fix: Fix | None, *, unsafe: bool) -> bool:
    """Whether a fix may be applied: safe ones always, unsafe ones on request, display ones never."""
    return fix is not None and bool(fix.edits) and (fix.applicability == "safe" or _is_wanted(fix, unsafe=unsafe))


def _is_wanted(fix: Fix, *, unsafe: bool) -> bool:
    return unsafe and fix.applicability == "unsafe"


def apply_fixes(text: str, diagnostics: Iterable[Diagnostic], *, unsafe: bool) -> Fixed:
    """Applies one round of fixes in source order, without those that overlap or touch an earlier one.

    Line endings that an edit inserts are written as in the text.
    """
    edits: list[Edit] = []
    applied: list[Diagnostic] = []
    end = -1
    candidates = [(item, item.fix) for item in diagnostics if is_applicable(item.fix, unsafe=unsafe)]
    for diagnostic, fix in sorted(candidates, key=lambda pair: _extent(pair[1])):
        assert fix is not None
        first, last = _extent(fix)
        if first > end:
            edits += sorted(fix.edits, key=lambda edit: edit.span.start)
            applied.append(diagnostic)
            end = last
    return Fixed(_edited(text, edits), tuple(applied))


def _extent(fix: Fix | None) -> tuple[int, int]:
    """The range from the first to the last position that a fix touches."""
    assert fix is not None
    return min(edit.span.start for edit in fix.edits), max(edit.span.end for edit in fix.edits)


def _edited(text: str, edits: Sequence[Edit]) -> str:
    pieces: list[str] = []
    position = 0
    has_returns = "\r\n" in text
    for edit in edits:
        content = edit.content.replace("\r\n", "\n").replace("\n", "\r\n") if has_returns else edit.content
        pieces += [text[position : edit.span.start], content]
        position = edit.span.end
    return "".join([*pieces, text[position:]])


def mend(
    text: str,
    check: Check,
    *,
    unsafe: bool,
    chosen: frozenset[str] = frozenset(CATALOGUE),
    source: str | None = None,
) -> Mended:
    """Applies the fixes of the ``chosen`` codes and checks again until nothing changes (at most 50 rounds).

    ``source`` is the path of the text, to which the files that it uses are relative.
    Raises :class:`DsdError` if a fix marked as safe is not; no text is returned then.
    """
    applied: list[Diagnostic] = []
    found = tuple(check(text))
    seen = {text}
    for _ in range(MAX_ROUNDS):
        wanted = [item for item in found if item.code in chosen]
        fixed = apply_fixes(text, wanted, unsafe=False)
        if fixed.applied:
            _verify(text, fixed, source)
        elif unsafe:
            fixed = apply_fixes(text, wanted, unsafe=True)
        if not fixed.applied or fixed.text in seen:
            break
        seen.add(fixed.text)
        applied += fixed.applied
        text, found = fixed.text, tuple(check(fixed.text))
    return Mended(text, tuple(applied), found)


def _verify(text: str, fixed: Fixed, source: str | None) -> None:
    """Checks that safe fixes keep the meaning; if they do not, names the one that does not."""
    if keeps_meaning(text, fixed.text, source):
        return
    alone = ((item, apply_fixes(text, [item], unsafe=False).text) for item in fixed.applied)
    guilty = next((item for item, mended in alone if not keeps_meaning(text, mended, source)), fixed.applied[0])
    raise DsdError(
        f"internal error: the fix of {guilty.code} on line {guilty.span.line} calls itself safe and would change "
        "the plan; nothing was written",
        help=f"please report it with the file; `--ignore {guilty.code}` leaves it out",
    )


def keeps_meaning(before: str, after: str, source: str | None = None) -> bool:
    """What a safe fix must keep: the plan's hash; without plans, the tree up to the order of arguments."""
    from dsd_lang.analysis import analyse
    from dsd_lang.compiler import plan_of

    old, new = analyse(before, source=source), analyse(after, source=source)
    if old.resolved is not None and new.resolved is not None:
        return plan_of(old.resolved).hash == plan_of(new.resolved).hash
    return bare(old.program.statements) == bare(new.program.statements) or _canonical(before) == _canonical(after)


def _canonical(text: str) -> object:
    """The tree of a text in canonical form; the text itself if it has syntax errors."""
    from dsd_lang.syntax.formatter import UnformattableError, format_text
    from dsd_lang.syntax.parser import parse

    try:
        return bare(parse(format_text(text)).program.statements)
    except UnformattableError:
        return text
