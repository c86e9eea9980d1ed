"""Publishes a document's diagnostics: pushed shortly after each change, or pulled by the editor."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.base.diagnostics import Diagnostic, rule_url
from dsd_lang.lsp.documents import Document

SOURCE = "dsd"
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
        tags=[types.DiagnosticTag.Unnecessary] if diagnostic.code == "DSD903" else None,
        data={"name": diagnostic.name, "fix": None if diagnostic.fix is None else diagnostic.fix.applicability},
    )


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
