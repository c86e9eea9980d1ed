"""After any series of edits a document answers as if its text had just been opened."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
from lsprotocol import types

from dsd_lang.lsp import diagnostics, folding, hover, inlay_hints, semantic_tokens, symbols
from dsd_lang.lsp.documents import Document, Documents
from dsd_lang.syntax.rereading import read

URI = "file:///nowhere/edited.dsd"
DOCUMENT = types.TextDocumentIdentifier(URI)
SCHEDULES = sorted((Path(__file__).resolve().parents[2] / "schedules").glob("*.dsd"))
MORE = (
    "# alone on its line",
    "# dsd: ignore[DSD306] why",
    "dense 5ep lr=prev/2  # dsd: ignore[DSD304]",
    "a: dense 10ep lr=0.1; b: sparse 50% layers=conv",
    "sparse 0->90% ramp=cubic every=10it 5ep from=@a.start",
    "fork seeds=2 {\n  # inside\n  one: { sparse 50%; dense }\n  two: dense 5ep\n}",
    "compare one vs two on=test.err",
    "expect one.test.err < two.test.err - 0.1",
    "repeat 3 as i {\n  sparse 0.5/2^i 5ep lr=prev\n  dense lr=prev/2 until val.err < 10%\n}",
    "sweep s in 25%, 50% {\n  sparse s 2ep\n}",
    "for w in 0, 1e-4 { dense 1ep wd=w }",
    "set lr=0.1 wd=1e-4 decay=cosine",
    "set batch=64",
    "repeat 2 sparse 30% then dense lr=1e-3",
    "dense 5ep teacher=1",
    "sparse 50% layers=birn",
    "dense 5ep wd=-1",
    "dense 5ep lr=prev-prev",
    "sparse 50% from=@nowhere.end",
    "dense 5ep distill=@a.end(alpha=0.5)",
    "repeat 2",
    "\u00e9: dense 5ep  # \U0001f600",
)
WORDS = ("0.25", "7ep", "conv", "dense", "sparse", "a", "b", "one", "i", "on", "cosine", "0", "prev", "held")
AT_LINE_ENDS = (
    "",
    ";",
    "; ",
    " \\",
    ",",
    " +",
    "  # why",
    " #",
    " {",
    " wd=1e-4",
    " layers=",
    " until val.err < 1",
    ")",
    "\n",
)
SCRIBBLES = (
    "spares 50%\n",
    *"{}()[]\"'/\\@:;=,%#^-",
    *(
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        ";\n",
        "\\\n",
        "->",
        "\x00",
        "\x07",
        "\ufeff",
        "\u2028",
        " ",
        "  ",
        "1",
        "50%",
        "lr=",
        "prev",
    ),
    *("sparse ", "dense", "repeat 3 {", "fork {", "}\n}", " until ", "a: ", "then ", "set ", '"""', "/*", "//", "# "),
)


def statements() -> list[str]:
    """The statements of the schedules, and some more."""
    texts = [path.read_text(encoding="utf-8") for path in SCHEDULES]
    found = [text[item.span.start : item.span.end] for text in texts for item in read(text).parsed.program.statements]
    return [*found, *MORE]


POOL = statements()


class Edits:
    """Random edits of one text, most of them such as people make: mistakes are often taken back."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.newline = random.choice(("\n", "\n", "\r\n", "\r"))
        self.text = self.lines(random.randint(4, 16))
        self.before_mistake: str | None = None

    def lines(self, count: int) -> str:
        """That many statements on lines of their own."""
        chosen = [self.random.choice(POOL).replace("\n", self.newline) for _ in range(count)]
        return "".join(line + self.random.choice((self.newline, self.newline, self.newline * 2)) for line in chosen)

    def next(self) -> tuple[int, int, str]:
        """The edit that makes the next text: what of the text is replaced, and by what."""
        if self.before_mistake is not None and self.random.random() < 0.7:
            text, self.before_mistake = self.before_mistake, None
            return 0, len(self.text), text
        kind = self.random.choice((self.of_lines, self.of_lines, self.of_a_word, self.at_a_line_end, self.scribble))
        return kind()

    def of_lines(self) -> tuple[int, int, str]:
        """Lines put in, deleted or replaced."""
        start = self.line_start()
        end = self.text.find(self.newline, start) + len(self.newline)
        return start, self.random.choice((start, max(start, end))), self.lines(self.random.randint(0, 2))

    def of_a_word(self) -> tuple[int, int, str]:
        """A number or word replaced."""
        word = self.random.choice([*re.finditer(r"\w+|\Z", self.text)])
        return word.start(), word.end(), self.random.choice(WORDS)

    def at_a_line_end(self) -> tuple[int, int, str]:
        """Something put in front of a line end, or in its place."""
        start = self.text.find(self.newline, self.random.randint(0, len(self.text)))
        self.before_mistake = self.text
        return (
            max(start, 0),
            max(start, 0) + self.random.choice((0, len(self.newline))),
            self.random.choice(AT_LINE_ENDS),
        )

    def scribble(self) -> tuple[int, int, str]:
        """Anything anywhere."""
        self.before_mistake = self.text
        start = self.random.choice((self.random.randint(0, len(self.text)), self.line_start()))
        end = min(len(self.text), start + self.random.choice((0, 0, 0, 1, 1, 3, 20, 200)))
        return start, end, self.random.choice(("", self.random.choice(SCRIBBLES), self.lines(1)))

    def line_start(self) -> int:
        found = self.text.rfind(self.newline, 0, self.random.randint(0, len(self.text)))
        return 0 if found < 0 else found + len(self.newline)

    def apply(self, documents: Documents, version: int) -> None:
        """The next text, sent as the smallest range or as the whole text."""
        start, end, new = self.next()
        document = documents.get(URI)
        assert document is not None
        text = self.text[:start] + new + self.text[end:]
        change: Any = types.TextDocumentContentChangeWholeDocument(text)
        if start or end < len(self.text):
            change = types.TextDocumentContentChangePartial(document.range(start, end), new)
        documents.change(URI, version, [change])
        changed = documents.get(URI)
        assert changed is not None
        self.text = changed.text  # an edit between `\r` and `\n` is one of the whole line end


def answers(document: Document, random: Random) -> dict[str, Any]:
    """Everything that an editor may ask about a text."""
    whole = types.Range(types.Position(0, 0), document.positions.position(len(document.text)))
    spans = [token.span.start for token in document.tokens.tokens]
    offsets = [random.randint(0, len(document.text)), *random.choices(spans or [0], k=3)]
    places = [document.positions.position(offset) for offset in offsets]
    parsed = document.reading.parsed
    return {
        "tree": (parsed.program, parsed.diagnostics, parsed.broken, list(parsed.tokens)),
        "tokens": (list(document.tokens.tokens), list(document.tokens.comments)),
        "analysis": document.analysis.diagnostics,
        "diagnostics": diagnostics.diagnostics(document),
        "roles": semantic_tokens.semantic_tokens(document, types.SemanticTokensParams(DOCUMENT)).data,
        "outline": symbols.document_symbols(document, types.DocumentSymbolParams(DOCUMENT)),
        "folding": folding.folding_ranges(document, types.FoldingRangeParams(DOCUMENT)),
        "hints": inlay_hints.inlay_hints(document, types.InlayHintParams(DOCUMENT, whole)),
        "hover": [hover.hover(document, types.HoverParams(DOCUMENT, place)) for place in places],
        "plan": None if document.plan is None else document.plan.hash,
    }


@pytest.mark.parametrize("seed", range(40))
def test_any_edits(seed: int) -> None:
    random = Random(seed)
    edits = Edits(random)
    documents = Documents(lambda error: None, tuple)
    documents.open(URI, 1, edits.text)
    for version in range(2, 14):
        edits.apply(documents, version)
        if random.random() < 0.2:
            continue  # two edits before a check
        document = documents.get(URI)
        assert document is not None
        fresh = Document(URI, version, document.text, client=document.client, settings=document.settings)
        state = random.getstate()
        found = answers(document, random)
        random.setstate(state)
        assert found == answers(fresh, random), (seed, version)


def test_what_is_kept_is_not_read_or_checked_again() -> None:
    lines = [f"p{number}: dense {number + 1}ep lr=0.1\n" for number in range(200)]
    before = Document(URI, 1, "".join(lines))
    assert before.diagnostics == ()
    lines[100] = "p100: dense 101ep wd=1e-4\np: dense 5ep\n"
    edited = Document(URI, 2, "".join(lines), before=before.last_reading)
    known = [item.span.line for item in edited.reading.parsed.program.statements if is_known(edited, item)]
    assert known == [*range(1, 100), *range(103, 202)]


def is_known(document: Document, statement: Any) -> bool:
    """Whether nothing about a statement needs to be found out again."""
    notes = document.reading.notes
    return notes.is_sound(statement.span.start) and notes.phase(statement.mode_span.start, ()) is not None
