"""The parser's table, from `table_data.py`."""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax import table_data


class Rule(NamedTuple):
    """One production: the symbol it reduces to, its number of symbols, what it builds, which children it keeps.

    ``builds`` is "" (pass on the only child), "[]" (a list added to the parent's children) or the name of a node. A
    kept child is its index and whether it is such a list.
    """

    symbol: str
    length: int
    builds: str
    kept: tuple[tuple[int, bool], ...]


class Table(NamedTuple):
    """The LALR table: a row for each state, from symbol to the next state, or to ~rule to reduce.

    ``units`` remembers where series of reductions end that only pass on their child: by the state below the child, the
    child's state and the next terminal.
    """

    rows: list[dict[str, int]]
    rules: list[Rule]
    keywords: dict[str, str]
    marks: dict[str, str]
    patterns: dict[str, str]
    units: dict[tuple[int, int, str], int]


def load_table() -> Table:
    """The table written by `python -m dsd_lang.syntax.build_table`, as code because Python reads that fastest."""
    rules = [Rule(*rule) for rule in table_data.RULES]
    return Table(table_data.ROWS, rules, table_data.KEYWORDS, table_data.MARKS, table_data.PATTERNS, {})
