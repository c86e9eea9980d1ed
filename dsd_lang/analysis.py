"""Analyses the text of a schedule: diagnostics and resolved phases. Light enough for `dsd-lint` to start fast."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from dsd_lang.base.diagnostics import CATALOGUE, Diagnostic, Span
from dsd_lang.base.files import read_schedule
from dsd_lang.base.layers import LayerInfo, with_inferred_roles
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import is_saved_plan, position_span
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Draftbook
from dsd_lang.passes.measure_program import is_measurable
from dsd_lang.passes.overrides import names_of
from dsd_lang.passes.pipeline import run_passes
from dsd_lang.passes.read_settings import Settings
from dsd_lang.passes.read_used_files import ReadFile
from dsd_lang.passes.scopes import Scope
from dsd_lang.passes.told_here import told_here
from dsd_lang.rules.checks import MODEL_RULES, ORDER_RULES, QUIET_RULES, STATEMENT_RULES, TREE_RULES
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.parser import ParseResult, parse
from dsd_lang.syntax.walk import names_bound_by, statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import CheckpointData, ComparisonData, ExpectationData
    from dsd_lang.syntax.notes import Notes

# codes that a phase with a syntax error may cause elsewhere
_CONSEQUENCES = frozenset(
    ("DSD203", "DSD301", "DSD302", "DSD303", "DSD304", "DSD305", "DSD306", "DSD406", "DSD501", "DSD502", "DSD901")
)


class ResolvedProgram(NamedTuple):
    """A resolved program without errors, from which `dsd_lang.compiler` makes a Plan."""

    book: Draftbook
    settings: Settings
    comparisons: tuple[ComparisonData, ...]
    expectations: tuple[ExpectationData, ...]
    checkpoints: tuple[CheckpointData, ...]
    overrides: Mapping[str, str] = {}
    used_texts: Mapping[str, str] = {}
    used: Mapping[int, Scope] = {}


class Analysis(NamedTuple):
    """All diagnostics in source order, including warnings and advice; ``resolved`` is None when there are errors."""

    diagnostics: tuple[Diagnostic, ...]
    resolved: ResolvedProgram | None
    parsed: ParseResult

    @property
    def program(self) -> nodes.Program:
        return self.parsed.program

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(item for item in self.diagnostics if CATALOGUE[item.code].severity == "error")


def analyse(
    text: str,
    *,
    layers: Sequence[LayerInfo] | None = None,
    overrides: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    parsed: ParseResult | None = None,
    source: str | None = None,
    read: ReadFile = read_schedule,
    selected: Collection[str] | None = None,
    notes: Notes | None = None,
) -> Analysis:
    """Parses, resolves and checks a schedule. Mistakes in the text become diagnostics and are never raised.

    ``layers`` is a model's inventory; if it is given, selectors are checked against it. ``overrides`` are `--set` flags
    and ``defaults`` the model's preset; a mistake in those raises :class:`dsd_lang.base.errors.DsdError`. ``parsed`` is
    the result of :func:`dsd_lang.syntax.parser.parse` for the text, if the caller already has it.
    ``source`` is the path of the schedule, to which the files that it uses are relative, and ``read`` reads those.
    The rules that are off by default are applied only if they are ``selected``; None stands for all of them.
    ``notes`` are what was found out about an earlier version with the same ``layers``, and get what is found out now.
    """
    if is_saved_plan(text):
        return _of_saved_plan(text)
    parsed = parsed or parse(text)
    program = parsed.program
    inventory = None if layers is None else with_inferred_roles(layers)
    collected = Diagnostics()
    all_statements = [statement for statement, _ in statements(program.statements)]
    subject = Subject(
        program,
        all_statements,
        collected,
        layers=inventory,
        text=text,
        names=frozenset(name.text for statement in all_statements for name in names_bound_by(statement)),
        uses_files=any(isinstance(statement, nodes.Use) for statement in program.statements),
    )
    resolved: ResolvedProgram | None = None
    if is_measurable(program, collected):
        _check_statements(subject, notes)
        for check in TREE_RULES:
            check(subject)
        compilation = Compilation(
            program,
            text,
            collected,
            source=source,
            read=read,
            overrides=overrides,
            defaults=defaults,
            notes=notes,
        )
        if run_passes(compilation):
            resolved, subject = _resolved(compilation), _with_phases(subject, compilation)
            for check in ORDER_RULES:
                check(subject)
            for code, check in QUIET_RULES.items():
                if selected is None or code in selected:
                    check(subject)
        for check in MODEL_RULES:
            check(subject)
    found = tuple(told_here(item) for item in collected)
    if parsed.diagnostics:
        reported = {item.span.start for item in parsed.diagnostics}
        found = tuple(item for item in found if not _is_consequence(item, text, parsed, reported))
    diagnostics = tuple(
        sorted((*parsed.diagnostics, *found), key=lambda item: (item.span.start, item.span.end, item.code))
    )
    if any(CATALOGUE[item.code].severity == "error" for item in diagnostics):
        # derived values are known only without errors
        return Analysis(tuple(item for item in diagnostics if item.code != "DSD901"), None, parsed)
    return Analysis(diagnostics, resolved, parsed)


def _check_statements(subject: Subject, notes: Notes | None) -> None:
    """Applies the rules about single statements to those that are not known to be without mistakes."""
    if notes is None:
        for check in STATEMENT_RULES:
            check(subject)
        return
    notes.depend_on(subject.names, subject.uses_files)
    for top in subject.program.statements:
        if not notes.is_sound(top.span.start):
            found = Diagnostics()
            part = subject._replace(statements=[inner for inner, _ in statements((top,))], diagnostics=found)
            for check in STATEMENT_RULES:
                check(part)
            for diagnostic in found:
                subject.diagnostics.report(diagnostic)
            if len(found):
                continue
        notes.sound.add(top.span.start)


def _of_saved_plan(text: str) -> Analysis:
    """One error for the whole file instead of one for each line of JSON."""
    start = len(text) - len(text.lstrip())
    error = Diagnostic(
        "DSD101",
        "this is a saved plan (JSON), not a schedule",
        position_span(text, start, start + 1),
        help="give the `.dsd` file that it was made from; `dsd-plan` shows and compares saved plans",
    )
    return Analysis((error,), None, parse(""))


def _is_consequence(diagnostic: Diagnostic, text: str, parsed: ParseResult, reported: set[int]) -> bool:
    """Whether a diagnostic may be only a consequence of a syntax error."""
    span = diagnostic.span
    if diagnostic.code in _CONSEQUENCES or span.start in reported or _is_emptied(diagnostic, reported):
        return True
    if span.line == span.end_line and any(span.start <= offset < span.end for offset in reported):
        return True
    for start, end in parsed.broken:
        if start <= span.start < end:
            mistake = min((offset for offset in reported if start <= offset <= end), default=start)
            return span.end > mistake or not _is_in_argument(text, span)
    return _may_be_bound(diagnostic, text, parsed.broken)


def _is_in_argument(text: str, span: Span) -> bool:
    """Whether it is about the name or value of an argument, which was read completely whatever follows it."""
    return text[span.end : span.end + 20].lstrip().startswith("=") or text[: span.start].rstrip().endswith("=")


def _may_be_bound(diagnostic: Diagnostic, text: str, broken: Sequence[tuple[int, int]]) -> bool:
    """Whether it is about a name that a statement with a syntax error may have defined."""
    word = text[diagnostic.span.start : diagnostic.span.end]
    if diagnostic.code != "DSD209" or not word.isidentifier():
        return False
    return any(word in re.findall(r"\w+", text[start : min(end, start + 200)]) for start, end in broken)


def _is_emptied(diagnostic: Diagnostic, reported: set[int]) -> bool:
    """Whether it is about an empty block whose contents had syntax errors."""
    return diagnostic.code == "DSD101" and any(
        diagnostic.span.start <= start <= diagnostic.span.end for start in reported
    )


def _resolved(compilation: Compilation) -> ResolvedProgram:
    """The values that the plan is made of."""
    return ResolvedProgram(
        compilation.book,
        compilation.settings,
        tuple(data for data, _ in compilation.comparisons),
        tuple(data for data, _ in compilation.expectations),
        compilation.checkpoints,
        _overrides_of_lets(compilation),
        compilation.used_texts,
        compilation.used,
    )


def _overrides_of_lets(compilation: Compilation) -> dict[str, str]:
    """The values that flags gave to the `let`s of the program."""
    lets = names_of(compilation.program)
    return {name: str(text) for name, text in (compilation.overrides or {}).items() if name in lets}


def _with_phases(subject: Subject, compilation: Compilation) -> Subject:
    """Adds what the rules about the order of phases look at."""
    return subject._replace(
        book=compilation.book, comparisons=compilation.comparisons, expectations=compilation.expectations
    )
