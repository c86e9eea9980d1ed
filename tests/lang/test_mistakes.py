"""The mistakes of tests/cases/mistakes: what people write who come from elsewhere, and exactly what each is answered.

Each `[[mistake]]` is a text and its answer. The text stands between `dense 5ep lr=.1` and `dense` unless it stands
alone; `\\u00ad` in it is that character. The answer holds a block for each diagnostic: its code and the text it points
at, its message, its label, its help, and the text as its fix leaves it. DSD_UPDATE_CASES=1 writes the answers anew.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.source import position_span

FOLDER = Path(__file__).resolve().parent.parent / "cases" / "mistakes"
HEAD, TAIL = "dense 5ep lr=.1\n", "\ndense\n"
LEFT_OUT = (
    "DSD303",
    "DSD304",
    "DSD305",
    "DSD407",
    "DSD501",
    "DSD502",
    "DSD901",
    "DSD902",
)  # about another matter than the mistake
ESCAPE = re.compile(r"\\u([0-9a-f]{4})")


def mistakes() -> list[tuple[str, dict[str, Any]]]:
    return [
        (path.stem, mistake)
        for path in sorted(FOLDER.glob("*.toml"))
        for mistake in tomllib.loads(path.read_text("utf-8"))["mistake"]
    ]


def schedule(mistake: dict[str, Any]) -> str:
    text = ESCAPE.sub(lambda found: chr(int(found[1], 16)), mistake["text"])
    return text if mistake.get("alone") else f"{HEAD}{text}{TAIL}"


def visible(text: str) -> str:
    """The text with characters that cannot be seen written out."""
    return "".join(f"\\u{ord(sign):04x}" if not sign.isprintable() and sign != "\n" else sign for sign in text)


def diagnostics(text: str) -> list[Diagnostic]:
    return [item for item in analyse(text).diagnostics if item.code not in LEFT_OUT]


def fixed(text: str, diagnostic: Diagnostic) -> str:
    assert diagnostic.fix is not None
    for edit in sorted(diagnostic.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.content + text[edit.span.end :]
    return text


def answer(mistake: dict[str, Any]) -> str:
    """What is said about a mistake."""
    text = schedule(mistake)
    lines: list[str] = []
    for item in diagnostics(text):
        shown = text[item.span.start : item.span.end]
        lines.append(f"{item.code} at `{visible(shown)}`: {item.message}")
        lines += [f"    {item.label}"] if item.label else []
        lines += [f"    help: {item.help}"] if item.help else []
        if item.fix is not None:
            better = fixed(text, item)
            body = better if mistake.get("alone") else better.removeprefix(HEAD).removesuffix(TAIL)
            word = "fix" if item.fix.applicability != "display" else "perhaps"
            lines += [f"    {word}: {visible(line)}" for line in body.split("\n")]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("theme", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_answers(theme: str) -> None:
    cases = [mistake for name, mistake in mistakes() if name == theme]
    if os.environ.get("DSD_UPDATE_CASES"):
        write(FOLDER / f"{theme}.toml", cases)
        return
    for mistake in cases:
        assert answer(mistake) == mistake["answer"], mistake["text"]


def test_one_mistake_is_one_diagnostic() -> None:
    """No mistake drags others along; where a text holds several, it says so."""
    for _, mistake in mistakes():
        assert len(diagnostics(schedule(mistake))) == mistake.get("count", 1), mistake["text"]


def test_fixes_mend_what_they_are_offered_for() -> None:
    """With its fixes applied a text compiles; where it says `partly`, something is left that only its author knows."""
    for _, mistake in mistakes():
        text = schedule(mistake)
        seen = {text}
        while found := [item for item in diagnostics(text) if item.fix and item.fix.applicability != "display"]:
            text = fixed(text, found[0])
            assert text not in seen, (mistake["text"], "a fix leads back")
            seen.add(text)
        if len(seen) > 1 and not mistake.get("partly"):
            assert not analyse(text).errors, (mistake["text"], text)


def test_spans_have_the_lines_and_columns_of_their_offsets() -> None:
    """Editors go by line and column, `--fix` by offset."""
    for _, mistake in mistakes():
        text = schedule(mistake)
        for item in analyse(text).diagnostics:
            for span in (item.span, *(edit.span for edit in (item.fix.edits if item.fix else ()))):
                assert span == position_span(text, span.start, span.end), mistake["text"]


def test_there_are_many() -> None:
    assert len(mistakes()) >= 400


def write(path: Path, cases: list[dict[str, Any]]) -> None:
    """The file with its answers anew."""
    blocks = []
    for mistake in cases:
        keys = "".join(
            f"{key} = {str(mistake[key]).lower()}\n" for key in ("alone", "count", "partly") if key in mistake
        )
        blocks.append(f"[[mistake]]\n{keys}text = {quoted(mistake['text'])}\nanswer = {quoted(answer(mistake))}\n")
    path.write_text("\n".join(blocks), encoding="utf-8")


def quoted(text: str) -> str:
    """A TOML string, literal."""
    quotes = "'''" if "'''" not in text else '"""'
    assert quotes not in text, text
    body = text.replace("\\", "\\\\") if quotes == '"""' else text
    return f"{quotes}\n{body}{quotes}" if "\n" in text else f"{quotes}{body}{quotes}"
