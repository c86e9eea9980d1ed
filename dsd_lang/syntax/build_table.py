"""Builds `table.json`, the parser's LALR table, from `grammar.lark`, so that Lark is not needed at run time.

Run `python -m dsd_lang.syntax.build_table` after every change to the grammar; a test rebuilds the table and compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
GRAMMAR = FOLDER / "grammar.lark"
TABLE = FOLDER / "table.json"


def build(grammar: str) -> dict[str, Any]:
    """The parser table of a grammar as plain data.

    `symbols` names all terminals and rules. `states` has for each state a flat list symbol, action, symbol, action...;
    an action of 0 or more is the next state, and ~r reduces rule r. `rules` has for each rule its symbol, its length,
    what it builds (see :func:`_shape`) and which children it keeps.
    """
    from lark import Lark
    from lark.lexer import PatternStr
    from lark.parsers.lalr_analysis import Shift

    parser: Any = Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=False)
    table = parser.parser.parser._parse_table
    patterns = {terminal.name: terminal.pattern for terminal in parser.terminals}
    symbols = sorted({symbol for row in table.states.values() for symbol in row})
    number_of = {symbol: index for index, symbol in enumerate(symbols)}
    rule_number = {rule: index for index, rule in enumerate(parser.rules)}
    end = table.end_states["start"]
    table.states[end]["$END"] = (Shift, end)  # the driver ends when it shifts the end of the text
    renumbered = _numbered_by_reach(table, Shift)
    states = []
    for state in renumbered:
        row = table.states[state]
        flat: list[int] = []
        for symbol in sorted(row):
            action, argument = row[symbol]
            flat += [number_of[symbol], renumbered[argument] if action is Shift else ~rule_number[argument]]
        states.append(flat)
    return {
        "format": 1,
        "symbols": symbols,
        "states": states,
        "rules": [[number_of.get(rule.origin.name, -1), len(rule.expansion), *_shape(rule)] for rule in parser.rules],
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


def _shape(rule: Any) -> tuple[str, list[list[int]]]:
    """What a rule builds, and from which children.

    `""` passes on its only child. `"[]"` is a helper rule whose children are added to those of its parent. Any other
    string is the name of the node to build. A kept child is [position, 1 if it is such a list].
    """
    name = rule.origin.name
    kept = [
        [position, int(not symbol.is_term and symbol.name.startswith("_"))]
        for position, symbol in enumerate(rule.expansion)
        if not (symbol.is_term and symbol.filter_out)
    ]
    if name.startswith("_"):
        return "[]", kept
    if rule.alias is None and rule.options.expand1 and len(rule.expansion) == 1:
        return "", kept
    return rule.alias or name, kept


def table_text(table: dict[str, Any]) -> str:
    """The table as compact JSON with one part per line, so that diffs are readable."""
    parts = [f'"{key}":{json.dumps(value, separators=(",", ":"))}' for key, value in table.items()]
    return "{" + ",\n".join(parts) + "}\n"


def main() -> int:
    """Writes the table beside the grammar."""
    TABLE.write_text(table_text(build(GRAMMAR.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"wrote {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
