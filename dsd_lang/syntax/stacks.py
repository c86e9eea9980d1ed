"""Queries on the parser's stacks: which terminals could come next; and popping to a state that accepts one."""

from __future__ import annotations

from dsd_lang.syntax.terminals import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.syntax.parser import Driver


class Stacks:
    """The queries and changes that recovery needs of the automaton."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def accepted(self) -> set[str]:
        """The terminals that can really come next (a row of the table may contain more)."""
        row = self._driver.rows[self._driver.states[-1]]
        return {symbol for symbol in row if symbol.isupper() and self.accepts(0, symbol)} | (
            {"$END"} if self.accepts(0, "$END") else set()
        )

    def accepts(self, popped: int, kind: str) -> bool:
        """Whether the stack without its topmost ``popped`` states would shift that terminal."""
        rows, rules, states = self._driver.rows, self._driver.rules, self._driver.states
        depth = len(states) - popped
        above: list[int] = []
        while True:
            action = rows[above[-1] if above else states[depth - 1]].get(kind)
            if action is None or action >= 0:
                return action is not None
            symbol, length, _, _ = rules[~action]
            taken = min(length, len(above))
            if taken:
                del above[-taken:]
            depth -= length - taken
            above.append(rows[above[-1] if above else states[depth - 1]][symbol])

    def is_list_state(self, state: int) -> bool:
        """Whether that state is inside a list of statements or branches."""
        row = self._driver.rows[state]
        return "statement" in row or "phase_branch" in row

    def pop_to(self, kind: str, *, only_in_statement: bool = False) -> bool:
        """Pops entries until that terminal can follow; False (and nothing popped) if it never can."""
        states = self._driver.states
        for popped in range(len(states)):
            if only_in_statement and self.is_list_state(states[-1 - popped]):
                return False
            lowest = self._driver.values[-popped] if popped else None
            if isinstance(lowest, Token) and lowest.kind == "EQUAL":
                continue  # `lr=` without a value: pop the name too
            if self.accepts(popped, kind):
                self.pop(popped)
                return True
        raise AssertionError(f"no state accepts {kind}")

    def pop_to_statements(self) -> None:
        """Pops the entries of the current statement."""
        states = self._driver.states
        self.pop(next(popped for popped in range(len(states)) if self.is_list_state(states[-1 - popped])))

    def pop(self, count: int) -> None:
        """Pops the topmost entries."""
        if count:
            for stack in (self._driver.states, self._driver.values, self._driver.firsts, self._driver.lasts):
                del stack[-count:]
