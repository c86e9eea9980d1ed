"""Publishes a document's diagnostics: pushed shortly after each change, or pulled by the editor."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.base.diagnostics import Diagnostic, Related, rule_url
from dsd_lang.base.errors import DsdError
from dsd_lang.lsp.documents import Document

SOURCE = "dsd"
OPTIONS = types.DiagnosticOptions(inter_file_dependencies=True, workspace_diagnostics=False)
_UNNECESSARY = ("DSD903", "DSD904")
_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "advice": types.DiagnosticSeverity.Information,
}


def diagnostics(document: Document) -> list[types.Diagnostic]:
    """All diagnostics of a document."""
    return [protocol_diagnostic(diagnostic, document) for diagnostic in document.diagnostics]


def protocol_diagnostic(diagnostic: Diagnostic, document: Document) -> types.Diagnostic:
    """One diagnostic in LSP form: message, label and help."""
    return types.Diagnostic(
        range=document.positions.range_of(diagnostic.span),
        message=message_of(diagnostic),
        severity=_SEVERITIES[diagnostic.severity],
        code=diagnostic.code,
        code_description=types.CodeDescription(rule_url(diagnostic.code, docs_url=document.settings.docs_url)),
        source=SOURCE,
        tags=[types.DiagnosticTag.Unnecessary] if diagnostic.code in _UNNECESSARY else None,
        related_information=_related(diagnostic, document),
        data={"name": diagnostic.name, "fix": None if diagnostic.fix is None else diagnostic.fix.applicability},
    )


def _related(diagnostic: Diagnostic, document: Document) -> list[types.DiagnosticRelatedInformation] | None:
    """The other spans that a diagnostic is about, also in other files."""
    if not diagnostic.related or not document.client.has_related_information:
        return None
    located = [(_location(related, document), related.message) for related in diagnostic.related]
    return [types.DiagnosticRelatedInformation(at, message) for at, message in located if at is not None]


def _location(related: Related, document: Document) -> types.Location | None:
    """Where it is; None in a file that cannot be read any more."""
    try:
        there = document if related.file is None else document.other(document.path_from(related.file))
    except DsdError:
        return None
    return types.Location(there.uri, there.positions.range_of(related.span))


def message_of(diagnostic: Diagnostic) -> str:
    """A diagnostic as one text."""
    first = f"{diagnostic.message}: {diagnostic.label}" if diagnostic.label else diagnostic.message
    return f"{first}\nhelp: {diagnostic.help}" if diagnostic.help else first


def published(document: Document) -> types.PublishDiagnosticsParams:
    """The notification for a version of a document."""
    return types.PublishDiagnosticsParams(document.uri, diagnostics(document), document.version)


def cleared(uri: str) -> types.PublishDiagnosticsParams:
    """The notification for a closed document."""
    return types.PublishDiagnosticsParams(uri, [])


def pulled(document: Document, params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
    """The answer to a pull request; a result that the editor already has is not sent again."""
    result_id = f"{document.version} {hash(document.diagnostics)}"  # settings may change without the text
    if params.previous_result_id == result_id and document.version is not None:
        return types.RelatedUnchangedDocumentDiagnosticReport(result_id)
    return types.RelatedFullDocumentDiagnosticReport(items=diagnostics(document), result_id=result_id)
