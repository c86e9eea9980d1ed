"""Reports `# fmt: ...` comments that have no effect on `dsd-fmt` (DSD903)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsd_lang.base.diagnostics import Diagnostic, Fix, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.source import SourceText
from dsd_lang.lint.suppressions import without_comment
from dsd_lang.syntax.directives import StatementRange
from dsd_lang.syntax.format_directives import FORMAT_DIRECTIVE, FORMAT_WORDS, FormatDirective, format_directives
from dsd_lang.syntax.nodes import Comment

_HELP = (
    "`# fmt: skip` at the end of a statement keeps it as it is; `# fmt: off` and `# fmt: on`, each on a line of its "
    "own, keep what is between"
)


def without_effect(
    source: SourceText, comments: Iterable[Comment], statements: Sequence[StatementRange]
) -> list[Diagnostic]:
    """The diagnostics about the comments of a text, in source order."""
    found = format_directives(source, comments, statements)
    return [_diagnostic(source, directive) for directive in found if directive.problem]


def _diagnostic(source: SourceText, directive: FormatDirective) -> Diagnostic:
    is_known = directive.word in FORMAT_WORDS
    guess = None if is_known else nearest(directive.word, FORMAT_WORDS)
    return Diagnostic(
        "DSD903",
        directive.problem,
        directive.span if directive.word else directive.comment.span,
        label=f"did you mean `{guess}`?" if guess else "it has no effect" if is_known else "no such word",
        help=_HELP,
        fix=replacement(directive.span, guess) if guess else _removal(source, directive) if is_known else None,
    )


def _removal(source: SourceText, directive: FormatDirective) -> Fix | None:
    """A fix that deletes the comment, if it says nothing else."""
    found = FORMAT_DIRECTIVE.match(directive.comment.text)
    if found is None or directive.comment.text[found.end() :].strip():
        return None
    return Fix("delete the comment", (without_comment(source, directive.comment, found),), "safe")
