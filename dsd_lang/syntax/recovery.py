"""Continues parsing after a syntax error: repairs it, or reports what was expected and skips the statement.

Common mistakes are repaired so that nothing is lost (a missing `;`, a misspelt `sparse`, a stray comma: repairs/). For
any other, the expected tokens are reported (unexpected.py), the rest of the statement is skipped, and what was parsed
of it is kept.
"""

from __future__ import annotations

from dsd_lang.syntax.mending import STOPS, Mending
from dsd_lang.syntax.terminals import MAX_ERRORS, Token, before

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.syntax.parser import Driver


class Recovery(Mending):
    """Repairs the stacks and tokens of one driver."""

    def mend(self, index: int, *, too_deep: bool) -> int:
        """The index of the token to continue with, after a mistake at ``index``."""
        token = self.driver.tokens[index]
        self.num_errors += 1
        if self.num_errors > MAX_ERRORS:
            self.driver.tokens[index:] = _closing(self.driver, token)
            self.stacks.pop_to_statements()
            return index
        if too_deep:
            self.report("DSD101", "this expression is nested too deep", token.span)
            self.stacks.pop_to_statements()
            return self.skip(index)
        from dsd_lang.syntax.repairs import REPAIRS
        from dsd_lang.syntax.unexpected import report_unexpected

        accepted = self.stacks.accepted()
        for repair in REPAIRS:
            resumed = repair(self, index, token, accepted)
            if resumed is not None:
                return resumed
        report_unexpected(self, index, token, accepted)
        return self.skip(index)

    def skip(self, index: int) -> int:
        """Skips to the end of the statement or its block, keeping what was parsed of the statement."""
        tokens = self.driver.tokens
        begin = tokens[self.statement_start(index)].span.start
        self.driver.builder.is_quiet = True
        while tokens[index].kind not in STOPS:
            index += 1
        kind = tokens[index].kind
        self.broken.append((begin, tokens[index].span.start))
        if kind == "LBRACE" and not self.stacks.pop_to(kind, only_in_statement=True):
            self.stacks.pop_to_statements()
            point = tokens[index].span
            in_fork = self.stacks.accepts(0, "LBRACE")
            kinds = ("LABEL", "COLON") if in_fork else ("REPEAT", "NUMBER")
            tokens[index:index] = [Token(kind, "", point) for kind in kinds]
        elif kind != "LBRACE":
            self.stacks.pop_to(kind)
        return index


def _closing(driver: Driver, token: Token) -> list[Token]:
    """The tokens that end a text early: the missing braces, and the end."""
    num_open = sum(isinstance(value, Token) and value.kind == "LBRACE" for value in driver.values)
    point = before(token.span)
    return [*(Token("RBRACE", "", point) for _ in range(num_open)), Token("$END", "", point)]
