"""How a `def` is called, and the comment above it."""

from __future__ import annotations

from dsd_lang.lsp.documents import Document
from dsd_lang.syntax import nodes


def parameter_texts(document: Document, node: nodes.Def) -> list[str]:
    """The parameters as they are written, with their defaults."""
    return [" ".join(document.text[item.span.start : item.span.end].split()) for item in node.parameters]


def signature(document: Document, node: nodes.Def) -> str:
    """`dsd(s, n=45ep)`; ``document`` is the one that has the `def`."""
    return f"{node.name.text}({', '.join(parameter_texts(document, node))})"


def doc_comment(document: Document, node: nodes.Def | nodes.Let) -> str:
    """The comment lines directly above, as text."""
    alone = {item.span.line: item.text for item in document.reading.parsed.program.comments if item.is_alone}
    lines: list[str] = []
    line = node.span.line - 1
    while line in alone:
        lines.append(alone[line].lstrip("#").strip())
        line -= 1
    return "\n".join(reversed(lines))
