"""Code actions for a range: fixes of its diagnostics, all safe fixes, a suppression comment."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.lint.fixes import mend
from dsd_lang.lsp.diagnostics import protocol_diagnostic
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.formatting import line_edits

FIX_ALL = "source.fixAll.dsd"
ACTION_KINDS = [types.CodeActionKind.QuickFix, FIX_ALL]


def code_actions(document: Document, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The actions of the requested kinds; fixing everything, which takes several analyses, only on request."""
    wanted = [str(getattr(kind, "value", kind)) for kind in params.context.only or ()]
    actions: list[types.CodeAction] = []
    if not wanted or _is_among("quickfix", wanted):
        actions += _quick_fixes(document, params.range)
    if _is_among(FIX_ALL, wanted):
        actions += _fix_all(document)
    return actions


def _is_among(kind: str, wanted: list[str]) -> bool:
    """Whether a kind, or one that contains it, is requested."""
    return any(kind == item or kind.startswith(f"{item}.") for item in wanted)


def _quick_fixes(document: Document, range: types.Range) -> Iterator[types.CodeAction]:
    start, end = document.offset(range.start), document.offset(range.end)
    here = [item for item in document.diagnostics if item.span.start <= end and start <= item.span.end]
    for diagnostic in here:
        if diagnostic.fix is not None and diagnostic.fix.applicability != "display" and diagnostic.fix.edits:
            yield _fix(document, diagnostic)
    for diagnostic in here:
        is_suppressible = diagnostic.severity != "error" and diagnostic.code != "DSD903"
        if is_suppressible and not _is_continued(document, diagnostic.span.line):
            yield _ignore(document, diagnostic)


def _fix(document: Document, diagnostic: Diagnostic) -> types.CodeAction:
    assert diagnostic.fix is not None
    end = "\r\n" if "\r\n" in document.text else "\n"
    edits = (
        types.TextEdit(document.positions.range_of(edit.span), edit.content.replace("\n", end))
        for edit in diagnostic.fix.edits
    )
    return types.CodeAction(
        title=f"{diagnostic.code}: {diagnostic.fix.message}",
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[protocol_diagnostic(diagnostic, document)],
        edit=document.edit(edits),
        is_preferred=diagnostic.fix.applicability == "safe",
    )


def _fix_all(document: Document) -> Iterator[types.CodeAction]:
    """All safe fixes at once, repeated to the end; None if there are none."""
    if not any(item.fix is not None and item.fix.applicability == "safe" for item in document.diagnostics):
        return
    mended = mend(document.text, lambda text: document.sibling(text).diagnostics, unsafe=False)
    if mended.text != document.text:
        edit = document.edit(line_edits(document, mended.text))
        yield types.CodeAction(title="dsd: apply all safe fixes", kind=FIX_ALL, edit=edit)


def _is_continued(document: Document, line: int) -> bool:
    """Whether the line above ends in a backslash, so that no comment may be inserted between the two."""
    return document.positions.source.line(line - 1).rstrip().endswith("\\")


def _ignore(document: Document, diagnostic: Diagnostic) -> types.CodeAction:
    """A comment that suppresses the diagnostic."""
    return types.CodeAction(
        title=f"{diagnostic.code}: ignore it here",
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[protocol_diagnostic(diagnostic, document)],
        edit=document.edit([_suppression(document, diagnostic)]),
    )


def _suppression(document: Document, diagnostic: Diagnostic) -> types.TextEdit:
    """Puts it at the end of the line, into an existing suppression, or above a line that has a comment."""
    source, line = document.positions.source, diagnostic.span.line
    comment = next((item for item in document.tokens.comments if item.span.line == line), None)
    if comment is None:
        end = source.starts[line - 1] + len(source.line(line).rstrip())
        return types.TextEdit(document.range(end, end), f"  # dsd: ignore[{diagnostic.code}]")
    bracket = comment.text.find("]")
    if comment.text.replace(" ", "").startswith("#dsd:ignore[") and bracket > 0:
        offset = comment.span.start + bracket
        return types.TextEdit(document.range(offset, offset), f", {diagnostic.code}")
    text = source.line(line)
    indent = text[: len(text) - len(text.lstrip())]
    start = source.starts[line - 1]
    end_of_line = "\r\n" if "\r\n" in document.text else "\n"
    return types.TextEdit(document.range(start, start), f"{indent}# dsd: ignore[{diagnostic.code}]{end_of_line}")
