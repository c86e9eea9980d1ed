"""Diagnostics as data: span, code, message, help, and a fix where possible.

Codes never change their meaning. The catalogue below is their only list; rules and passes refer to it.
"""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Severity = Literal["error", "warning", "advice"]

    Applicability = Literal["safe", "unsafe", "display"]


DOCS_URL = "https://dsd-lang.readthedocs.io/en/stable/"


class Span(NamedTuple):
    """A range of source text: lines and columns from 1 in code points, the end exclusive; offsets from 0."""

    line: int
    column: int
    end_line: int
    end_column: int
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other."""
        return tuple.__new__(Span, (self[0], self[1], other[2], other[3], self[4], other[5]))


class CalledSpan(Span):
    """A span of a text that a call or a `use` brought in: ``file`` has the text, None for the schedule itself.

    ``call`` is the span of that call, which may itself have been brought in by another; ``name`` says what is called.
    """

    file: str | None
    call: Span
    name: str

    @classmethod
    def of(cls, span: Span, call: Span, name: str, file: str | None) -> CalledSpan:
        """The same range, brought in by ``call``."""
        made = tuple.__new__(cls, span)
        made.call, made.name, made.file = call, name, file
        return made


def here(span: Span) -> Span:
    """The range in the schedule itself: the span, or the call that brought in another file's text."""
    while isinstance(span, CalledSpan) and span.file is not None:
        span = span.call
    return span


def place(span: Span) -> str:
    """Line and column as all tools write them; for text that a call brought in, with its file and the call.

    >>> place(CalledSpan.of(Span(3, 5, 3, 9, 20, 24), Span(7, 1, 7, 8, 60, 67), "dsd", "common.dsd"))
    '3:5 of common.dsd, called at 7:1'
    """
    written = f"{span.line}:{span.column}"
    if not isinstance(span, CalledSpan):
        return written
    file = f" of {span.file}" if span.file is not None else ""
    return f"{written}{file}, called at {place(span.call)}"


@record
class Related:
    """Another span that a diagnostic is about, such as the call of a `def`; ``file`` is None for the same file."""

    message: str
    span: Span
    file: str | None = None


@record
class Edit:
    """Replaces the text of ``span`` by ``content``."""

    span: Span
    content: str


@record
class Fix:
    """Edits that fix a diagnostic: `safe` ones keep the plan's hash, `display` ones are shown and never applied."""

    message: str
    edits: tuple[Edit, ...]
    applicability: Applicability = "unsafe"


def replacement(span: Span, text: str, applicability: Applicability = "unsafe") -> Fix:
    """A fix that replaces the text of ``span`` by ``text``."""
    return Fix(f"write `{text}`", (Edit(span, text),), applicability)


@record
class Code:
    """One row of the catalogue."""

    code: str
    name: str
    severity: Severity
    default: bool = True


CATALOGUE: dict[str, Code] = {
    entry.code: entry
    for entry in (
        Code("DSD101", "syntax-error", "error"),
        Code("DSD102", "missing-separator", "error"),
        Code("DSD103", "reserved-word", "error"),
        Code("DSD104", "unclosed-block", "error"),
        Code("DSD105", "not-utf8", "error"),
        Code("DSD201", "unknown-layer", "error"),
        Code("DSD202", "unknown-argument", "error"),
        Code("DSD203", "unknown-reference", "error"),
        Code("DSD204", "duplicate-label", "error"),
        Code("DSD205", "unknown-metric", "error"),
        Code("DSD206", "duplicate-argument", "error"),
        Code("DSD207", "unsupported-yet", "error"),
        Code("DSD208", "untrusted-code", "warning"),
        Code("DSD209", "wrong-value", "error"),
        Code("DSD210", "no-effect", "warning"),
        Code("DSD211", "unusable-file", "error"),
        Code("DSD212", "clashing-arguments", "error"),
        Code("DSD301", "missing-first-length", "error"),
        Code("DSD302", "repeat-without-pair", "error"),
        Code("DSD303", "ends-sparse", "warning"),
        Code("DSD304", "redense-lr-not-lower", "warning"),
        Code("DSD305", "restore-without-mask", "warning"),
        Code("DSD306", "densify-by-target", "warning"),
        Code("DSD401", "target-out-of-range", "error"),
        Code("DSD402", "length-without-unit", "error"),
        Code("DSD403", "lr-not-positive", "error"),
        Code("DSD404", "bad-ramp", "error"),
        Code("DSD405", "program-too-large", "error"),
        Code("DSD406", "milestone-past-end", "warning"),
        Code("DSD407", "paper-range", "advice", default=False),
        Code("DSD408", "shares-past-whole", "error"),
        Code("DSD409", "pattern-does-not-fit", "error"),
        Code("DSD410", "warmup-past-end", "warning"),
        Code("DSD411", "floor-above-start", "warning"),
        Code("DSD412", "milestones-out-of-order", "warning"),
        Code("DSD413", "undefined-unit", "error"),
        Code("DSD501", "unequal-budgets", "warning"),
        Code("DSD502", "one-seed-compare", "warning"),
        Code("DSD503", "fork-without-labels", "error"),
        Code("DSD901", "derived-value", "advice", default=False),
        Code("DSD902", "not-canonical", "advice", default=False),
        Code("DSD903", "unused-suppression", "warning"),
        Code("DSD904", "unused-name", "advice"),
    )
}


ERRORS = frozenset(entry.code for entry in CATALOGUE.values() if entry.severity == "error")
"""What no comment silences."""


@record
class Diagnostic:
    """One diagnostic. ``label`` is the short text beside the carets; ``help`` says what to do."""

    code: str
    message: str
    span: Span
    label: str = ""
    help: str = ""
    fix: Fix | None = None
    related: tuple[Related, ...] = ()

    @property
    def name(self) -> str:
        return CATALOGUE[self.code].name

    @property
    def severity(self) -> Severity:
        return CATALOGUE[self.code].severity


def rule_url(code: str, *, docs_url: str = DOCS_URL) -> str:
    """The address of a code's page in the documentation; ``docs_url`` is the root of another copy of it.

    >>> rule_url("DSD303")
    'https://dsd-lang.readthedocs.io/en/stable/rules/ends-sparse/'
    """
    return f"{docs_url.rstrip('/')}/rules/{CATALOGUE[code].name}/"
