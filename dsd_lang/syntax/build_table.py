"""Builds `table_data.py`, the parser's LALR table, from `grammar.lark`, so that Lark is not needed at run time.

Run `python -m dsd_lang.syntax.build_table` after every change to the grammar; a test rebuilds the table and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
GRAMMAR = FOLDER / "grammar.lark"
TABLE = FOLDER / "table_data.py"


def build(grammar: str) -> dict[str, Any]:
    """The constants of `table_data.py`, whose fields :class:`dsd_lang.syntax.table.Table` explains."""
    from lark import Lark
    from lark.lexer import PatternStr
    from lark.parsers.lalr_analysis import Shift

    parser: Any = Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=False)
    table = parser.parser.parser._parse_table
    patterns = {terminal.name: terminal.pattern for terminal in parser.terminals}
    rule_number = {rule: index for index, rule in enumerate(parser.rules)}
    end = table.end_states["start"]
    table.states[end]["$END"] = (Shift, end)  # the driver ends when it shifts the end of the text
    renumbered = _numbered_by_reach(table, Shift)
    rows = []
    for state in renumbered:
        row = table.states[state]
        actions = {symbol: row[symbol] for symbol in sorted(row)}
        rows.append(
            {
                symbol: renumbered[argument] if action is Shift else ~rule_number[argument]
                for symbol, (action, argument) in actions.items()
            }
        )
    used = {symbol for row in rows for symbol in row}
    return {
        "rows": rows,
        "rules": [
            (str(rule.origin.name) if rule.origin.name in used else "", len(rule.expansion), *_shape(rule))
            for rule in parser.rules
        ],
        "keywords": {
            pattern.value: name
            for name, pattern in sorted(patterns.items())
            if isinstance(pattern, PatternStr) and pattern.value.isalpha()
        },
        "marks": {
            pattern.value: name
            for name, pattern in sorted(patterns.items())
            if isinstance(pattern, PatternStr) and not pattern.value.isalpha()
        },
        "patterns": {
            name: pattern.value for name, pattern in sorted(patterns.items()) if not isinstance(pattern, PatternStr)
        },
    }


def _numbered_by_reach(table: Any, shift: Any) -> dict[int, int]:
    """Renumbers states by the order in which they are reached from the start state, the same on every machine."""
    start = table.start_states["start"]
    numbers = {start: 0}
    waiting = [start]
    for state in waiting:
        for symbol in sorted(table.states[state]):
            action, target = table.states[state][symbol]
            if action is shift and target not in numbers:
                numbers[target] = len(numbers)
                waiting.append(target)
    return numbers


def _shape(rule: Any) -> tuple[str, tuple[tuple[int, bool], ...]]:
    """What a rule builds, and from which children.

    `""` passes on its only child. `"[]"` is a helper rule whose children are added to those of its parent. Any other
    string is the name of the node to build. A kept child is its position, and whether it is such a list.
    """
    name = rule.origin.name
    kept = tuple(
        (position, not symbol.is_term and symbol.name.startswith("_"))
        for position, symbol in enumerate(rule.expansion)
        if not (symbol.is_term and symbol.filter_out)
    )
    if name.startswith("_"):
        return "[]", kept
    if rule.alias is None and rule.options.expand1 and len(rule.expansion) == 1:
        return "", kept
    return str(rule.alias or name), kept


def table_text(table: dict[str, Any]) -> str:
    """The constants as a Python module, one row or rule on a line, so that diffs are readable."""
    types = {"rows": "list[dict[str, int]]", "rules": "list[tuple[str, int, str, tuple[tuple[int, bool], ...]]]"}
    parts = ['"""The LALR table of `grammar.lark`, written by `python -m dsd_lang.syntax.build_table`."""\n']
    for name, value in table.items():
        opening, closing = ("[", "]") if isinstance(value, list) else ("{", "}")
        lines = map(repr, value) if isinstance(value, list) else (f"{key!r}: {value[key]!r}" for key in value)
        body = "".join(f"    {line},\n" for line in lines)
        parts.append(f"{name.upper()}: {types.get(name, 'dict[str, str]')} = {opening}\n{body}{closing}\n")
    return "\n".join(parts)


def main() -> int:
    """Writes the table beside the grammar."""
    TABLE.write_text(table_text(build(GRAMMAR.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"wrote {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
