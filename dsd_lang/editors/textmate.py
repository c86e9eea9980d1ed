"""The TextMate grammars for `.dsd` files and for `dsd` fences in Markdown.

Each part has a scope that editor themes know; the last component is always `dsd`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsd_lang.editors.patterns import PatternPart, PatternRule, Patterns, Region

SCOPE = "source.dsd"
MARKDOWN_SCOPE = "markdown.dsd.codeblock"
_SCOPES: Mapping[PatternPart, str] = {
    "comment": "comment.line.number-sign",
    "directive": "comment.line.number-sign keyword.other.directive",
    "code": "comment.line.number-sign constant.other.rule",
    "string": "string.quoted",
    "regex": "string.regexp",
    "continuation": "punctuation.separator.continuation",
    "number": "constant.numeric",
    "unit": "constant.numeric keyword.other.unit",
    "operator": "keyword.operator",
    "arrow": "keyword.operator.ramp",
    "assignment": "keyword.operator.assignment",
    "comma": "punctuation.separator.comma",
    "separator": "punctuation.terminator.statement",
    "brace": "punctuation.section.block",
    "parenthesis": "punctuation.section.parens",
    "bracket": "punctuation.section.brackets",
    "colon": "punctuation.separator.colon",
    "mode": "storage.type.phase",
    "keyword": "keyword.control",
    "logical": "keyword.operator.expression",
    "constant": "constant.language",
    "label": "entity.name.function.label",
    "binding": "variable.other.declaration",
    "path": "entity.name.function.label",
    "argument": "variable.parameter.argument",
    "parameter": "variable.parameter",
    "option": "support.constant.property-value",
    "text": "string.unquoted",
    "layer": "support.type.layer",
    "function": "support.function",
    "metric": "variable.other.property.metric",
    "reference": "entity.name.function.reference",
    "moment": "entity.name.function.reference support.constant.moment",
    "rate": "variable.language",
    "variable": "variable.other",
    "illegal": "invalid.illegal",
}


def scope_of(part: PatternPart) -> str:
    """The scopes of a part, outermost first, as one string; empty for whitespace."""
    return " ".join(f"{scope}.dsd" for scope in _SCOPES.get(part, "").split())


def grammar(table: Patterns) -> dict[str, Any]:
    """The grammar of `.dsd` files as plain data."""
    repository = {name: {"patterns": [_match(rule) for rule in rules]} for name, rules in table.groups.items()}
    repository |= {region.name: _region(region) for region in table.regions}
    return {
        "name": "dsd",
        "scopeName": SCOPE,
        "fileTypes": ["dsd"],
        "patterns": _included(table.outside),
        "repository": repository,
    }


def markdown_injection() -> dict[str, Any]:
    """Highlights the inside of code fences whose language is `dsd`, whatever follows it."""
    return {
        "scopeName": MARKDOWN_SCOPE,
        "injectionSelector": "L:text.html.markdown",
        "patterns": [{"include": "#fence"}],
        "repository": {
            "fence": {
                "begin": "(^|\\G)(\\s*)(`{3,}|~{3,})\\s*(?i:(dsd)((?:\\s+|:|,|\\{)[^`]*)?$)",
                "beginCaptures": {
                    "3": {"name": "punctuation.definition.markdown"},
                    "4": {"name": "fenced_code.block.language"},
                    "5": {"name": "fenced_code.block.language.attributes"},
                },
                "end": "(^|\\G)(\\2|\\s{0,3})(\\3)\\s*$",
                "endCaptures": {"3": {"name": "punctuation.definition.markdown"}},
                "name": "markup.fenced_code.block.markdown",
                "patterns": [
                    {
                        "begin": "(^|\\G)(\\s*)(.*)",
                        "while": "(^|\\G)(?!\\s*([`~]{3,})\\s*$)",
                        "contentName": "meta.embedded.block.dsd",
                        "patterns": [{"include": SCOPE}],
                    }
                ],
            }
        },
    }


def _included(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"include": f"#{name}"} for name in names]


def _match(rule: PatternRule) -> dict[str, Any]:
    if len(rule.stretches) == 1:
        [(pattern, part)] = rule.stretches
        return {"match": pattern + rule.ahead, "name": scope_of(part)}
    return {"match": rule.pattern, "captures": _captures(rule)}


def _captures(rule: PatternRule, first: int = 1) -> dict[str, Any]:
    """The scopes of a rule's groups, without whitespace."""
    return {
        str(number): {"name": scope_of(part)}
        for number, (_, part) in enumerate(rule.stretches, start=first)
        if scope_of(part)
    }


def _region(region: Region) -> dict[str, Any]:
    ends = {key: value for rule in region.ends[:1] for key, value in _captures(rule).items()}
    return {
        "begin": region.opens.pattern,
        "beginCaptures": _captures(region.opens),
        "end": "|".join(rule.pattern for rule in region.ends),
        "endCaptures": ends,
        "patterns": _included(region.inside),
    }
