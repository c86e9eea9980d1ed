"""Continues parsing after a syntax error: repairs it, or reports what was expected and skips the statement.

First the mistakes people really make are mended so that nothing is lost (a forgotten `;`, a misspelt `sparse`, a stray
comma); for any other, what is expected is said, the rest of the statement skipped, and what was read of it kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.syntax.mending import STOPS, Mending
from dsd_lang.syntax.phase_items import ARGUMENT_NAMES
from dsd_lang.syntax.terminals import (
    MAX_ERRORS,
    SELECTING_WORDS,
    STATEMENT_WORDS,
    Token,
    before,
    behind,
    clipped,
)
from dsd_lang.syntax.words import expected_in_words, found_in_words

if TYPE_CHECKING:
    from dsd_lang.syntax.parser import Driver

_CONNECTIVES = frozenset({"IN", "VS", "AS", "THEN", "UNTIL", "HELD", "AND", "OR", "NOT"})
_LINE = re.compile("[^\r\n]*")


class Recovery(Mending):
    """Mends one driver's stacks and tokens."""

    def mend(self, index: int, *, too_deep: bool) -> int:
        """The index of the token to go on with, after a mistake at ``index``."""
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
        accepted = self.stacks.accepted()
        from dsd_lang.syntax.repairs import LATE_REPAIRS, REPAIRS

        for early in REPAIRS:
            resumed = early(self, index, token, accepted)
            if resumed is not None:
                return resumed
        for repair in (
            self._habit,
            self._doubled_equals,
            self._repeat_without_then,
            self._missing_separator,
            self._comma_between_statements,
            self._stray_comma,
            self._first_word,
            self._branch_without_colon,
            self._misspelt_connective,
            self._reserved_word,
            self._repeat_without_count,
            self._assignment_in_condition,
        ):
            resumed = repair(index, token, accepted)
            if resumed is not None:
                return resumed
        for late in LATE_REPAIRS:
            resumed = late(self, index, token, accepted)
            if resumed is not None:
                return resumed
        self._unexpected(index, token, accepted)
        return self.skip(index)

    # --- what other languages do --------------------------------------------------------------------------------------

    def _habit(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """A form of another language around this place."""
        from dsd_lang.syntax.habits import MAX_TEXT, find

        text, tokens = self.scanned.text, self.driver.tokens
        first = tokens[self.statement_start(index)].span
        start = max(first.start, token.span.start - MAX_TEXT, token.span.start - token.span.column + 1)
        line_end = _LINE.match(text, token.span.start, token.span.start + MAX_TEXT)
        found = find(text[start : line_end.end() if line_end is not None else start], token.span.start - start)
        if found is None:
            return None
        begin, behind_it = start + found.start, start + found.end
        reported = (item.span.start for item in self.scanned.diagnostics)
        if any(first.start <= place <= token.span.start and not begin <= place < behind_it for place in reported):
            return None  # the echo of another mistake
        line, column = token.span.line, token.span.column - token.span.start
        span = Span(line, column + begin, line, column + behind_it, begin, behind_it)
        fix = (
            Fix("write it so" if found.fix else "leave it out", (Edit(span, found.fix),))
            if found.fix is not None
            else None
        )
        self.report("DSD101", found.message, span, label=found.label, help=found.help, fix=fix)
        self.covered.append((begin, behind_it))
        if found.resumes:
            while tokens[index].kind != "$END" and tokens[index].span.start < behind_it:
                index += 1
            return index
        stop = index
        while tokens[stop].kind != "$END" and tokens[stop].span.start < behind_it:
            stop += 1
        if _is_balanced(tokens[index:stop]):
            del tokens[index:stop]
        return self.skip(index)

    # --- what people really write -------------------------------------------------------------------------------------

    def _repeat_without_then(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`repeat dense lr=3`."""
        if token.kind != "DENSE" or not index or self.kind(index - 1) != "REPEAT":
            return None
        place = before(token.span)
        self.report(
            "DSD101",
            "the dense phase of a `repeat` follows the word `then`",
            token.span,
            label="`then` is missing",
            help="write `repeat then dense ...`; to begin a new phase, put a `;` after `repeat`",
            fix=Fix("put in `then `", (Edit(place, "then "),)),
        )
        self.driver.tokens.insert(index, Token("THEN", "", place))
        return index

    def _missing_separator(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`dense 50ep sparse 0.5`."""
        if (token.kind not in STATEMENT_WORDS and token.kind != "LABEL") or "_SEPARATOR" not in accepted:
            return None
        if token.kind == "LABEL" and self.kind(index + 2) not in ("DENSE", "SPARSE", "LBRACE"):
            return None
        if index and self.kind(index - 1) == "_SEPARATOR":
            return None  # it is there, and did not help: `fork { a: dense 5ep; repeat }`
        place, previous = before(token.span), self.driver.tokens[index - 1].span
        is_beside = previous.end_line == token.span.line
        gap = Span(*previous[2:4], *place[:2], previous.end, place.start) if is_beside else place
        what = "phase" if token.kind in ("DENSE", "SPARSE", "LABEL") else "statement"
        help = "put a `;` or a new line between the two"
        joined = self.scanned.text[previous.end : token.span.start]
        if "\\" in joined and "#" not in joined:
            self._joined_lines(index, previous, joined)
            return index
        is_doubtful = token.kind == "DENSE" and self._is_in_repeat()
        if is_doubtful:
            help = "write `then dense ...` if it belongs to the `repeat`, else put a `;` or a new line between the two"
        self.report(
            "DSD102",
            f"a new {what} begins here without a separator",
            token.span,
            label=f"`;` is missing before `{token.text}`",
            help=help,
            fix=Fix("put in the `;`", (Edit(gap, "; "),), "display" if is_doubtful else "unsafe"),
        )
        self.driver.tokens.insert(index, Token("_SEPARATOR", "", place))
        return index

    def _joined_lines(self, index: int, previous: Span, joined: str) -> None:
        """A `\\` before a statement: it joins the line with one that does not belong to it."""
        place = previous.end + joined.index("\\")
        blank = len(joined[: joined.index("\\")])
        column = previous.end_column + blank
        sign = Span(previous.end_line, column, previous.end_line, column + 1, place, place + 1)
        gap = Span(*previous[2:4], *sign[2:4], previous.end, sign.end)
        token = self.driver.tokens[index]
        self.report(
            "DSD102",
            f"the `\\` joins this line to the next, which begins a statement of its own (`{token.text}`)",
            sign,
            label="leave it out",
            fix=Fix("leave out the `\\`", (Edit(gap if "\n" not in joined[:blank] else sign, ""),)),
        )
        self.driver.tokens.insert(index, Token("_SEPARATOR", "", before(token.span)))

    def _doubled_equals(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`scope==global`."""
        name = self.driver.tokens[index - 1] if index else token
        if token.text != "==" or "SELECTING" not in accepted or name.text not in (*ARGUMENT_NAMES, *SELECTING_WORDS):
            return None
        self.report(
            "DSD101",
            f"an argument is written `{name.text}=...`, found `{name.text}==`",
            name.span.to(token.span),
            label=f"did you mean `{name.text}=`?",
            fix=replacement(token.span, "="),
        )
        return self.skip(index)

    def _stray_comma(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`dense 50ep, lr=3`."""
        if token.kind != "COMMA" or "SELECTING" not in accepted:
            return None
        name = self.driver.tokens[index - 1]
        if name.kind == "NAME" and name.text in ARGUMENT_NAMES and self.can_rewind_to(index - 1):
            self.report(
                "DSD101",
                f"the argument `{name.text}` needs a `=` before its value, not a `,`",
                token.span,
                label="write `=`",
                fix=Fix("write `=`", (Edit(self._with_blank(index), "="),)),
            )
            self.rewind_to(index - 1)
            self.driver.tokens[index] = Token("EQUAL", "=", token.span)
            return index - 1
        self.report(
            "DSD101",
            "`,` joins only the items of a list",
            token.span,
            label="leave it out",
            help="arguments are separated by spaces, statements by `;` or a new line",
            fix=Fix("leave out the `,`", (Edit(token.span, ""),)),
        )
        return index + 1

    def _with_blank(self, index: int) -> Span:
        """A token's place and the blank behind it."""
        span, after = self.driver.tokens[index].span, self.driver.tokens[index + 1].span
        return span.to(before(after)) if after.line == span.line else span

    def _comma_between_statements(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`dense 5ep, sparse 50%`, and a comma behind a branch of a fork."""
        after = self.kind(index + 1)
        if token.kind != "COMMA" or "_SEPARATOR" not in accepted or index + 1 >= len(self.driver.tokens):
            return None
        if (
            after not in STATEMENT_WORDS
            and after != "LABEL"
            and after != "RBRACE"
            and not ("LBRACE" in accepted and "LABEL" in accepted)
        ):
            return None
        is_line_end = self.driver.tokens[index + 1].span.line > token.span.line
        better = "" if is_line_end or after == "RBRACE" else ";"
        self.report(
            "DSD102",
            "statements are separated by `;` or a new line, not by `,`",
            token.span,
            label=f"write `{better}`" if better else "leave it out",
            fix=Fix("write `;`" if better else "leave out the `,`", (Edit(token.span, better),)),
        )
        self.driver.tokens[index] = Token("_SEPARATOR", "", token.span)
        return index

    def _first_word(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """A word that begins no statement."""
        from dsd_lang.syntax.first_words import FirstWords

        return FirstWords(self).mend(index, token, accepted)

    def _branch_without_colon(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`a { ... }` in a fork."""
        is_branch_place = {"LABEL", "LBRACE"} <= accepted
        if token.kind != "NAME" or not is_branch_place or self.kind(index + 1) not in ("LBRACE", "DENSE", "SPARSE"):
            return None
        place = behind(token.span)
        self.report(
            "DSD101",
            f"the branch `{token.text}` needs a `:` after its name",
            token.span,
            label="`:` is missing after this",
            fix=Fix("put in `:`", (Edit(place, ":"),)),
        )
        self.driver.tokens[index : index + 1] = [Token("LABEL", token.text, token.span), Token("COLON", "", place)]
        return index

    def _misspelt_connective(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`for x on 1, 2`, `compare a with b`, `repeat 3 untill val.err < 1 { ... }`."""
        if token.kind == "NAME" and accepted <= _CONNECTIVES and len(accepted) == 1:  # no other word can stand here
            return self._take_for(index, next(iter(accepted)).lower())
        written = self.driver.tokens[index - 1] if index else token
        if written.kind != "NAME" or accepted != {"EQUAL"}:  # it was read as the name of an argument
            return None
        meant = [kind for kind in _CONNECTIVES if self.stacks.accepts(1, kind)]
        word = nearest(written.text.lower(), [kind.lower() for kind in meant])
        if word is None:
            return None
        self.stacks.pop(1)
        return self._take_for(index - 1, word)

    def _take_for(self, index: int, word: str) -> int:
        """A name read as the reserved word it must stand for."""
        token = self.driver.tokens[index]
        self.report(
            "DSD101",
            f"expected `{word}`, found `{clipped(token.text)}`",
            token.span,
            label=f"did you mean `{word}`?",
            fix=replacement(token.span, word),
        )
        self.driver.tokens[index] = Token(word.upper(), word, token.span)
        self.guessed.append(token.span.start)
        return index

    def _reserved_word(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`for in in 1, 2`, `lr=then`."""
        if token.text not in self.driver.keywords or "NAME" not in accepted or "UNTIL" in accepted:
            return None
        if "NUMBER" not in accepted:
            from dsd_lang.base.foreign_words import LAYERS

            kind = LAYERS.get(token.text) if "REGEX" in accepted else None
            self.report(
                "DSD103",
                f"the reserved word `{token.text}` cannot be a name",
                token.span,
                label=f"did you mean `{kind}`?" if kind else "choose another name",
                fix=replacement(token.span, kind) if kind else None,
            )
            self.driver.tokens[index] = Token("NAME", token.text, token.span)
            return index
        if token.kind in STATEMENT_WORDS:
            return None
        self.report(
            "DSD103",
            f"the reserved word `{token.text}` cannot be a value",
            token.span,
            label=f"expected {self._expected(accepted)}",
        )
        return self.skip(index)

    def _repeat_without_count(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`repeat { ... }`."""
        previous = self.driver.tokens[index - 1] if index else token
        if token.kind not in ("LBRACE", "AS") or previous.kind != "REPEAT":
            return None
        self.report(
            "DSD101",
            "a `repeat` block needs its number of rounds",
            previous.span,
            label="how often?",
            help="write `repeat 3 { ... }`; with `until COND` the number is the most rounds there can be",
        )
        self.driver.tokens.insert(index, Token("NUMBER", "", token.span))
        return index

    def _assignment_in_condition(self, index: int, token: Token, accepted: set[str]) -> int | None:
        """`until val.err = 0.1`."""
        if token.kind != "EQUAL" or "COMPARATOR" not in accepted:
            return None
        self.report(
            "DSD101",
            "a condition compares with `<`, `<=`, `>`, `>=`, `==` or `!=`, found `=`",
            token.span,
            label="did you mean `==`?",
            fix=replacement(token.span, "=="),
        )
        self.driver.tokens[index] = Token("COMPARATOR", "==", token.span)
        return index

    # --- anything else ------------------------------------------------------------------------------------------------

    def _unexpected(self, index: int, token: Token, accepted: set[str]) -> None:
        if self._follows_from_the_lexer(index, token):
            return
        expected = self._expected(accepted)
        found = found_in_words(token, self.driver.keywords)
        if (token.kind in ("_SEPARATOR", "$END", "RBRACE") or not token.text) and index:
            while index > 1 and (self.kind(index - 1) == "_SEPARATOR" or not self.driver.tokens[index - 1].text):
                index -= 1
            previous = self.driver.tokens[index - 1].span
            self.report(
                "DSD101", f"expected {expected}, found {found}", previous, label="the statement is incomplete here"
            )
            return
        label, help = self._advice(index, token, accepted)
        fix = self._repair(index, token)
        self.report("DSD101", f"expected {expected}, found {found}", token.span, label=label, help=help, fix=fix)

    def _follows_from_the_lexer(self, index: int, token: Token) -> bool:
        """Whether the lexer has already reported a mistake of this statement, of which this one may be the echo."""
        tokens = self.driver.tokens
        if not token.text and (token.kind != "$END" or self.scanned.stopped):
            return True
        begin = index
        while begin and tokens[begin - 1].kind not in ("_SEPARATOR", "LBRACE", "RBRACE"):
            begin -= 1
        start, end = tokens[begin].span.start, token.span.start
        if token.kind in ("$END", "_SEPARATOR"):
            end += 1
        reported = (finding.span.start for finding in self.scanned.diagnostics)
        return any(start <= place < end for place in (*reported, *self.guessed))

    def _advice(self, index: int, token: Token, accepted: set[str]) -> tuple[str, str]:
        """The label and the help of an unexpected token."""
        after = self.kind(index + 1)
        previous = self.kind(index - 1) if index else ""
        if token.kind == "LBRACE" and "SET" in accepted:
            return "", "a block follows `repeat`, `for`, `sweep`, `fork` or the label of a branch"
        if token.kind in STATEMENT_WORDS and previous == "COLON":
            return "", "only phases and branches of a `fork` have labels"
        if token.kind == "COMPARATOR" and token.text == "==" and "SELECTING" in accepted:
            return "did you mean `=`?", ""
        if token.kind == "DENSE" and previous == "REPEAT":
            return "did you mean `then dense`?", ""
        if token.kind == "DOTTED" and after == "COLON":
            return "a label has no dots", ""
        if token.kind == "THEN" and "_SEPARATOR" in accepted:
            return "", "`then` stands only in `repeat sparse ... then dense ...`"
        if token.kind == "LABEL" and token.text in ARGUMENT_NAMES:
            return f"did you mean `{token.text}=`?", f"an argument is written `{token.text}=...`"
        return "", ""

    def _repair(self, index: int, token: Token) -> Fix | None:
        """The fix of an unexpected token, where one is plain."""
        if token.kind == "LABEL" and token.text in ARGUMENT_NAMES and self.kind(index + 1) == "COLON":
            colon, value = behind(token.span), self.driver.tokens[index + 2].span
            if value.line == token.span.line:
                gap = Span(*colon[:2], *value[:2], colon.start, value.start)
                return Fix(f"write `{token.text}=`", (Edit(gap, "="),))
        return None

    def skip(self, index: int) -> int:
        """To the end of the statement or its block; what was read of the statement is closed as well as can be."""
        tokens = self.driver.tokens
        begin = tokens[self.statement_start(index)].span.start
        self.driver.builder.is_quiet = True
        while tokens[index].kind not in STOPS:
            index += 1
        kind = tokens[index].kind
        self.broken.append((begin, tokens[index].span.start))
        if kind == "LBRACE" and not self.stacks.pop_to(kind, only_in_statement=True):
            self.stacks.pop_to_statements()
            place = tokens[index].span
            in_fork = self.stacks.accepts(0, "LBRACE")
            kinds = ("LABEL", "COLON") if in_fork else ("REPEAT", "NUMBER")
            tokens[index:index] = [Token(kind, "", place) for kind in kinds]
        elif kind != "LBRACE":
            self.stacks.pop_to(kind)
        return index

    # --- words --------------------------------------------------------------------------------------------------------

    def _is_in_repeat(self) -> bool:
        for state, value in zip(reversed(self.driver.states), reversed(self.driver.values), strict=False):
            if self.stacks.is_list_state(state):
                return False
            if isinstance(value, Token) and value.kind == "REPEAT":
                return True
        return False

    def _expected(self, accepted: set[str]) -> str:
        values = self.driver.values
        words = (value.kind for value in reversed(values) if isinstance(value, Token))
        mode = next((kind.lower() for kind in words if kind in ("DENSE", "SPARSE")), None)
        has_items = not (values and isinstance(values[-1], Token) and values[-1].kind in ("DENSE", "SPARSE"))
        return expected_in_words(accepted, phase=mode, has_items=has_items)


def _is_balanced(tokens: list[Token]) -> bool:
    """Whether every brace among the tokens has its other half there."""
    depth = 0
    for token in tokens:
        depth += (token.kind == "LBRACE") - (token.kind == "RBRACE")
        if depth < 0:
            return False
    return not depth


def _closing(driver: Driver, token: Token) -> list[Token]:
    """What ends a text early: the braces that are still open, and the end."""
    num_open = sum(isinstance(value, Token) and value.kind == "LBRACE" for value in driver.values)
    place = before(token.span)
    return [*(Token("RBRACE", "", place) for _ in range(num_open)), Token("$END", "", place)]
