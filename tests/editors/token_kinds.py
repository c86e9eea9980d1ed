"""A highlighter's stretches in, where they disagree with the language's own lexer out; and texts to try both on."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from pathlib import Path

from dsd_lang.editors.vocabulary import vocabulary
from dsd_lang.syntax.lexer import Lexer
from dsd_lang.syntax.table import load_table
from dsd_lang.syntax.terminals import SOFT_WORDS, Tokens, master_pattern

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = vocabulary()
TABLE = load_table()
MASTER = master_pattern(TABLE.patterns, TABLE.marks)

# a token of the lexer -> what a highlighter may call it (parts of dsd_lang/editors/patterns.py)
ALLOWED: dict[str, set[str]] = {
    "NAME": {
        "argument", "parameter", "option", "layer", "function", "variable", "binding", "rate", "metric", "text",
        "constant",
    },
    "DOTTED": {"path", "metric", "layer"},
    "ARM": {"path"},
    "CALLED": {"function"},
    "LABEL": {"label"},
    "BY": {"keyword"},
    "DOTS": {"operator"},
    **{kind: {"keyword"} for kind in ("LET", "DEF", "USE", "WITHIN")},
    "SELECTING": {"argument", "parameter"},
    "NUMBER": {"number", "unit"},
    "LENGTH": {"number", "unit"},
    "STRING": {"string"},
    "REGEX": {"regex"},
    "REFERENCE": {"reference", "moment"},
    "COMPARATOR": {"operator"},
    "ARROW": {"arrow"},
    "EQUAL": {"assignment"},
    "COMMA": {"comma"},
    "COLON": {"colon"},
    "RATIO": {"colon"},
    "_SEPARATOR": {"separator"},
    **{kind: {"operator"} for kind in ("PLUS", "MINUS", "STAR", "SLASH", "CARET")},
    **{kind: {"brace"} for kind in ("LBRACE", "RBRACE")},
    **{kind: {"parenthesis"} for kind in ("LPAR", "RPAR")},
    **{kind: {"bracket"} for kind in ("LSQB", "RSQB")},
    **{TABLE.keywords[word]: {"mode"} for word in WORDS.modes},
    **{TABLE.keywords[word]: {"keyword"} for word in (*WORDS.statements, *WORDS.connectives)},
    **{TABLE.keywords[word]: {"logical"} for word in WORDS.logical},
    **{TABLE.keywords[word]: {"constant"} for word in WORDS.targets},
}  # fmt: skip


def lexed(text: str) -> Tokens:
    """What the language's own lexer says."""
    return Lexer(text, TABLE, MASTER).run()


def disagreements(text: str, stretches: Iterable[tuple[int, int, set[str]]]) -> list[str]:
    """Each token of the lexer, and each comment, that a highlighter calls something else.

    A stretch is start, end and the parts that its colour may stand for.
    """
    parts: list[set[str]] = [set() for _ in text]
    for start, end, names in stretches:
        parts[start:end] = [names] * (end - start)
    scanned = lexed(text)
    wrong = []
    before = ""
    for token in scanned.tokens:
        allowed = ALLOWED.get(token.kind, set())
        if token.kind in ("NAME", "DOTTED") and before in ("COMPARE", "VS"):
            allowed = allowed | {"path"}
        if token.kind == "NAME" and token.text in SOFT_WORDS:
            allowed = allowed | {"keyword"}  # where no statement begins, but a line
        before = token.kind
        if token.kind == "$END" or token.text == "\n":
            continue
        for place in range(token.span.start, token.span.end):
            if not parts[place] & allowed:
                wrong.append(f"{token.kind} `{token.text}` at {place} is {sorted(parts[place])} in {text!r}")
                break
    for comment in scanned.comments:
        if not all(names & {"comment", "directive", "code"} for names in parts[comment.span.start : comment.span.end]):
            wrong.append(f"comment `{comment.text}` in {text!r}")
    covered = {
        place for item in (*scanned.tokens, *scanned.comments) for place in range(item.span.start, item.span.end)
    }
    wrong += [
        f"{text[place]!r} at {place} is {sorted(parts[place])} in {text!r}"
        for place in range(len(text))
        if place not in covered and not text[place].isspace() and not parts[place] & {"continuation", "separator"}
    ]
    return wrong


def real_programs() -> list[str]:
    """Every schedule, and every example of the language reference that has no syntax error."""
    schedules = [path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "schedules").glob("*.dsd"))]
    reference = (REPOSITORY / "docs" / "language.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```dsd[^\n]*\n(.*?)^```$", reference, re.MULTILINE | re.DOTALL)
    return [text for text in (*schedules, *examples) if not lexed(text).diagnostics]


_PIECES = (
    "dense", "sparse", "set", "repeat", "for", "sweep", "fork", "compare", "expect", "until", "held", "as", "in", "vs",
    "then", "and", "or", "not", "50ep", "1.25ep", "500it", "0ep", "12", "0.5", ".5", "8e-4", "50_000", "30%", "1.5e3ep",
    "2:4", "0->90%", "x", "s", "lr", "prev", "conv", "birnn.hh", "prunable", "cosine", "global", "val.loss",
    "dsd.test.err", "a.b.c", "sparsity", "entropy.relu", "@a", "@a.start", "@a.500it", "@init", "@a.b.best", '"f.*"',
    "'g'", "lr=0.1", "decay=cosine", "decay=step(33%, 66%, by=0.1)", "layers=fc,birnn", 'except="a.*",/b[12]\\/c/',
    "layers = /x/ , /y/", "by=magnitude(order=largest)", "opt=sgd(momentum=0.9, nesterov=on)", "lr=prev/10",
    "update=set(drop=30%,every=100it)", "distill=@t.end(alpha=0.8, T=10)", "model=ds2", "ré=größe", "a:", "b :",
    "[fc: 20%, conv.ih: 2:4]", "[/x/: 1%, s: 0->5%,]", "2^i", "(1 + 2) * 3 / 4", "plateau(val.loss, patience=3)", "<",
    ">=", "==", "!=", "->", "+", "-", "*", "/", "^", "=", ",", ":", ";", "{", "}", "(", ")", "[", "]", "\n", "\n",
    "\r\n", " \\\n", "\t", "# c", "# dsd: ignore[DSD303, ends-sparse] why\n", "#dsd:ignore\n", "# [x]\n",
    "compare a vs b", "\nlet s = 50%", "\nlet k = conv, /x/", "\ndef dsd(s, n=45ep) {", "\nuse 'common.dsd'\n",
    "\nwithin 100ep {", "10%..90% by 10%", "1 .. 3", "grid[25%]", "grid[s=25%, w=0].test.err", "@grid[25%].end",
    "in (25%, 1e-3), (50%, 5e-4)", "compare grid[25%] vs grid[50%]", "# fmt: skip\n", "lr=[embed: 1e-5]",
    "compare linear vs cosine on=val.err", "for linear in 1, 2", "sweep s in 1%, w in 0", "repeat 3 as i", "set lr=1",
    "sparse [\n  conv: 1%,\n  fc: 2%\n]", "layers=fc,\n  /x/", "update=magnitude(every=1it)", "clip=norm(5)",
)  # fmt: skip


def random_texts(count: int, *, seed: int = 0) -> list[str]:
    """Texts that the lexer finds nothing wrong with, made of pieces in any order, whatever the grammar says."""
    source = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        text = "".join(source.choice(_PIECES) + source.choice((" ", " ", "  ")) for _ in range(source.randrange(2, 12)))
        if not lexed(text).diagnostics:
            found.append(text)
    return found
