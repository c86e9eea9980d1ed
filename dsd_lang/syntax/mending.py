"""The tools for repairs: the tokens around a mistake, the parser's stacks, and the diagnostics.

A repair changes tokens and returns where to continue. If too much was parsed already, it is unread first.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Fix, Span
from dsd_lang.syntax.stacks import Stacks
from dsd_lang.syntax.terminals import Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.syntax.parser import Driver

STOPS = frozenset({"_SEPARATOR", "LBRACE", "RBRACE", "$END"})
MAX_LOOK_BACK = 400


class Mending:
    """The tokens, stacks and diagnostics of one driver."""

    def __init__(self, driver: Driver, scanned: Tokens) -> None:
        self.driver = driver
        self.scanned = scanned
        self.stacks = Stacks(driver)
        self.num_errors = 0
        self.guessed: list[int] = []  # positions where a word was replaced: what follows may not fit it
        self.covered: list[tuple[int, int]] = []  # spans that one diagnostic explains completely
        self.broken: list[tuple[int, int]] = []  # statements that were not read completely

    def statement_start(self, index: int) -> int:
        """The index of the first token of the statement that contains this one."""
        tokens, least = self.driver.tokens, max(0, index - MAX_LOOK_BACK)
        while index > least and tokens[index - 1].kind not in ("_SEPARATOR", "LBRACE", "RBRACE"):
            index -= 1
        return index

    def open_group(self, index: int) -> int | None:
        """The index of the `(` that is open at a token."""
        depth = 0
        for position in range(index - 1, max(0, index - MAX_LOOK_BACK), -1):
            kind = self.driver.tokens[position].kind
            depth += (kind == "RPAR") - (kind == "LPAR")
            if depth < 0:
                return position
            if kind in STOPS:
                break
        return None

    def partner(self, index: int, closing: str, limit: int) -> int | None:
        """The index of the bracket that closes the one at ``index``, within the next ``limit`` tokens."""
        tokens, depth = self.driver.tokens, 0
        for position in range(index, min(len(tokens), index + limit)):
            depth += (tokens[position].kind == tokens[index].kind) - (tokens[position].kind == closing)
            if not depth:
                return position
        return None

    def can_rewind_to(self, index: int) -> bool:
        """Whether everything from that token on can be unread: no earlier part is already reduced together with it."""
        start = self.driver.tokens[index].span.start
        ends = zip(reversed(self.driver.firsts), reversed(self.driver.lasts), strict=True)
        return next((last.end <= start for first, last in ends if first.start < start), True)

    def rewind_to(self, index: int) -> None:
        """Unreads everything from that token on."""
        start, driver = self.driver.tokens[index].span.start, self.driver
        spans = zip(reversed(driver.firsts), reversed(driver.lasts), strict=True)
        before_it = (count for count, (first, last) in enumerate(spans) if first.start < start or last.end <= start)
        self.stacks.pop(next(before_it, len(driver.firsts)))

    def kind(self, index: int) -> str:
        tokens = self.driver.tokens
        return tokens[index].kind if index < len(tokens) else "$END"

    def report(
        self, code: str, message: str, span: Span, *, label: str = "", help: str = "", fix: Fix | None = None
    ) -> None:
        self.driver.builder.diagnostics.append(Diagnostic(code, message, span, label, help, fix))
