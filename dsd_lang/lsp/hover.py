"""Hover: what the word at a position means, and what it resolves to."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.layers import describe_inventory, match, parse_selector
from dsd_lang.base.metrics import metric_meaning
from dsd_lang.lsp import meanings
from dsd_lang.lsp.across import home_of
from dsd_lang.lsp.definitions import KINDS_IN_WORDS, Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.let_values import value_of
from dsd_lang.lsp.markdown import argument_page, literal, option_page, rule_page
from dsd_lang.lsp.rows import called_rows, phase_at, resolved_rows
from dsd_lang.lsp.signatures import doc_comment, signature
from dsd_lang.lsp.written import argument_at, selector_at
from dsd_lang.passes.resolve_references import MOMENTS
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token
from dsd_lang.syntax.walk import statements


def hover(document: Document, params: types.HoverParams) -> types.Hover | None:
    """The meaning of the word, and the page of every diagnostic there."""
    offset = document.offset(params.position)
    token = token_at(document, offset)
    texts = [] if token is None else [text for text in (_meaning(document, token, offset),) if text]
    diagnostics = [
        item for item in document.diagnostics if item.span.start <= offset <= max(item.span.end - 1, item.span.start)
    ]
    texts += [text for code in dict.fromkeys(item.code for item in diagnostics) if (text := rule_page(code))]
    if not texts:
        return None
    span = token.span if token is not None else diagnostics[0].span
    content = types.MarkupContent(types.MarkupKind.Markdown, "\n\n---\n\n".join(texts))
    return types.Hover(content, document.positions.range_of(span))


def token_at(document: Document, offset: int) -> Token | None:
    """The token at an offset; where two tokens meet, the word or number."""
    touching = [item for item in document.tokens.tokens if item.text and item.span.start <= offset <= item.span.end]
    inside = [item for item in touching if offset < item.span.end]
    words = [item for item in touching if item.text[0].isalnum() or item.text[0] in "@\"'_/."]
    return next(iter([*words, *inside]), None)


def _meaning(document: Document, token: Token, offset: int) -> str | None:
    label = _label(document, token, offset)
    if label is not None:
        return label
    if token.kind in ("DENSE", "SPARSE"):
        return _phase(document, token)
    if token.text in meanings.KEYWORDS and token.kind == token.text.upper():
        return _keyword(token.text)
    return _word(document, token)


def _phase(document: Document, token: Token) -> str:
    phase = phase_at(document, token.span.start)
    rows = None if phase is None else resolved_rows(document, phase)
    return _keyword(token.text) + (f"\n\n{rows}" if rows else "")


def _keyword(word: str) -> str:
    form, meaning = meanings.KEYWORDS[word]
    return f"```dsd\n{form}\n```\n{meaning}"


def _label(document: Document, token: Token, offset: int) -> str | None:
    """A label, branch or variable at its definition, or a reference with its target and moment."""
    found = document.labels.named_at(offset)
    if found is not None and token.span.start <= found[1].start and found[1].end <= token.span.end:
        moment = _moment(token) if token.kind == "REFERENCE" else None
        called = _called(document, token.span) if found[0].kind == "def" else None
        more = moment or called
        return definition_page(document, found[0]) + (f"\n\n{more}" if more else "")
    return _moment(token) if token.kind == "REFERENCE" else None


def _moment(token: Token) -> str | None:
    if token.text == "@init":
        return f"**`@init`** {meanings.INIT}"
    last = token.text.rpartition(".")[2]
    if "." not in token.text:
        return f"the moment: `end`, {meanings.MOMENT_MEANINGS['end']}"
    if last in MOMENTS:
        return f"the moment: `{last}`, {meanings.MOMENT_MEANINGS[last]}"
    return f"the moment: `{last}`, {meanings.LATER}" if last[:1].isdecimal() else None


def _called(document: Document, span: Span) -> str | None:
    """What the call whose name is at a span stands for."""
    calls = (item for item, _ in statements(document.analysis.program.statements) if isinstance(item, nodes.Invocation))
    call = next((item for item in calls if item.callee.span == span), None)
    return None if call is None else called_rows(document, call.span)


def definition_page(document: Document, definition: Definition) -> str:
    """What a name refers to: its text, the value of a `let`, the comment above a `def`, the rows of a phase."""
    home, node = home_of(document, definition).document, definition.node
    where = f" of `{definition.file}`" if definition.file else ""
    written = f"def {signature(home, node)}" if isinstance(node, nodes.Def) else _first_line(home, node.span)
    lines = [
        f"**`{definition.name}`** {KINDS_IN_WORDS[definition.kind]}, line {definition.span.line}{where}",
        f"```dsd\n{written}\n```",
    ]
    if isinstance(node, (nodes.Def, nodes.Let)):
        lines.append(literal(doc_comment(home, node)))
    if isinstance(node, nodes.Let):
        value = value_of(document, definition)
        lines.append("" if value is None else f"value: `{value}`")
    if isinstance(node, nodes.Phase) and not definition.file:
        lines.append(resolved_rows(document, node) or "")
    if isinstance(node, nodes.Invocation) and not definition.file:
        lines.append(called_rows(document, node.span) or "")
    return "\n\n".join(line for line in lines if line)


def _first_line(document: Document, span: Span) -> str:
    text = document.text[span.start : span.end]
    lines = text.splitlines() or [""]
    return lines[0] if len(lines) == 1 else f"{lines[0]} ..."


def _word(document: Document, token: Token) -> str | None:
    """An argument, one of its values, a selector, a rate, a metric or a function of a condition."""
    selector = selector_at(document, token.span.start)
    if selector is not None:
        return _selector(document, str(selector.selector))
    argument = argument_at(document, token.span.start)
    if argument is not None and argument.name_span.start == token.span.start:
        row = BY_NAME.get(argument.name)
        return None if row is None else argument_page(row)
    if token.kind not in ("NAME", "DOTTED"):
        return None
    row = BY_NAME.get(argument.name) if argument is not None else None
    option = row.option(token.text) if row is not None else None
    if row is not None and option is not None:
        return option_page(row, option)
    tests = {name: function.meaning for name, function in CONDITION_FUNCTIONS.items()}
    for table in (meanings.RATE_MEANINGS, tests):
        if token.text in table:
            return f"**`{token.text}`** {table[token.text]}"
    metric = metric_meaning(".".join(token.text.split(".")[-2:]))
    return f"**`{token.text}`** {metric}" if metric else None


def _selector(document: Document, text: str) -> str:
    selector = parse_selector(text)
    what = {
        "glob": "the layers whose name matches this pattern",
        "regex": "the layers whose name contains a match of this",
    }
    meaning = meanings.selector_meaning(text) if selector.form == "word" else what[selector.form]
    lines = [f"**`{text}`** {meaning or 'not a kind or role of layers'}"]
    layers = document.settings.layers
    if layers is not None:
        weights = match(selector, layers)
        names = ", ".join(f"`{weight.name}`" for weight in weights[:8]) + (", ..." if len(weights) > 8 else "")
        size = sum(weight.size for weight in weights)
        lines.append(
            f"in this model {len(weights)} tensors, {size:,} weights: {names}" if weights else _nothing(document)
        )
    return "\n\n".join(lines)


def _nothing(document: Document) -> str:
    return f"no layer of this model, which has: {describe_inventory(document.settings.layers or ())}"
