"""The Pygments lexer, found by entry point as `dsd`, for `*.dsd` and fences in Markdown.

Pygments comes with the extra `pygments`; no other module of the language imports this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, include
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
    _TokenType,
)

from dsd_lang.editors.patterns import PatternPart, PatternRule, Patterns, Region, patterns
from dsd_lang.editors.vocabulary import vocabulary

TOKENS: Mapping[PatternPart, _TokenType] = {
    "blank": Whitespace,
    "comment": Comment.Single,
    "directive": Comment.Special,
    "code": Comment.Special,
    "string": String,
    "regex": String.Regex,
    "continuation": Punctuation,
    "number": Number,
    "unit": Number,
    "operator": Operator,
    "arrow": Operator,
    "assignment": Operator,
    "comma": Punctuation,
    "separator": Punctuation,
    "brace": Punctuation,
    "parenthesis": Punctuation,
    "bracket": Punctuation,
    "colon": Punctuation,
    "mode": Keyword.Declaration,
    "keyword": Keyword,
    "logical": Operator.Word,
    "constant": Keyword.Constant,
    "label": Name.Label,
    "binding": Name.Variable,
    "path": Name.Label,
    "argument": Name.Attribute,
    "parameter": Name.Attribute,
    "option": Name.Constant,
    "text": String,
    "layer": Name.Class,
    "function": Name.Function,
    "metric": Name.Property,
    "reference": Name.Decorator,
    "moment": Name.Decorator,
    "rate": Name.Builtin.Pseudo,
    "variable": Name.Variable,
    "illegal": Error,
}
_SPACES = (("\\r?\\n|\\r", Whitespace), ("[^\\S\\r\\n]+", Whitespace))


def _action(rule: PatternRule) -> Any:
    group: Any = bygroups  # untyped in Pygments' stubs
    return group(*(TOKENS[part] for _, part in rule.stretches))


def _region_states(region: Region) -> dict[str, list[Any]]:
    """The state that a region's opening bracket enters, and the state within."""
    ends = [(rule.pattern, _action(rule), "#pop") for rule in region.ends]
    inside = [include(f"{name}-all") for name in region.inside]
    return {
        f"{region.name}-all": [(region.opens.pattern, _action(region.opens), region.name)],
        region.name: [*ends, *inside, *_SPACES],
    }


def states(table: Patterns) -> dict[str, list[Any]]:
    """The states of a Pygments lexer: one for each group and region, and `root`."""
    found: dict[str, list[Any]] = {
        f"{name}-all": [(rule.pattern, _action(rule)) for rule in rules] for name, rules in table.groups.items()
    }
    for region in table.regions:
        found |= _region_states(region)
    return {**found, "root": [*(include(f"{name}-all") for name in table.outside), *_SPACES]}


class DsdLexer(RegexLexer):
    """Highlights schedules.

    >>> [str(token) for token, text in DsdLexer().get_tokens("dense 50ep") if text.strip()]
    ['Token.Keyword.Declaration', 'Token.Literal.Number', 'Token.Literal.Number']
    """

    name = "dsd"
    url = "https://dsd-lang.readthedocs.io/en/stable/"
    aliases: ClassVar[list[str]] = ["dsd"]
    filenames: ClassVar[list[str]] = ["*.dsd"]
    mimetypes: ClassVar[list[str]] = ["text/x-dsd"]
    flags = re.MULTILINE
    tokens: ClassVar[dict[str, list[Any]]] = states(patterns(vocabulary()))
