"""What a hover says: arguments, values, selectors, phases as resolved, references, diagnostics."""

from __future__ import annotations

import pytest
from lsp_editor import Editor, place_of, session
from lsprotocol import types

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.editors.vocabulary import vocabulary
from dsd_lang.lsp import meanings
from dsd_lang.lsp.markdown import rule_page
from dsd_lang.syntax.terminals import SOFT_WORDS


def hover_at(editor: Editor, marked: str) -> str | None:
    text, place = place_of(marked)
    editor.open(text)
    answer = editor.at(types.TEXT_DOCUMENT_HOVER, place)
    return None if answer is None else str(answer.contents.value)


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        ("dense 5ep lr=1 de|cay=cosine", "the learning rate's shape within the phase"),
        ("dense 5ep lr=1 decay|=cosine", "* default: `constant`"),
        ("dense 5ep lr=1 decay=cos|ine", "a value of `decay=`"),
        ("dense 5ep lr=1 opt=|sgd(momentum=0.9)", "takes `momentum=`, `nesterov=`, `dampening=`"),
        ("sparse 50% layers=bi|rnn.hh 5ep lr=1", "only the hidden-to-hidden matrices"),
        ("sparse [f|c: 30%] 5ep lr=1", "fully connected layers"),
        ('sparse 50% layers="enc|oder.*" 5ep lr=1', "whose name matches this pattern"),
        ("dense 5ep lr=1; dense lr=pr|ev/10", "the previous phase's learning rate at its start"),
        ("dense 5ep lr=1 until plat|eau(val.loss)", "in a row improved"),
        ("dense 5ep lr=1 until plateau(val.l|oss)", "the loss, measured on the validation data"),
        ("re|peat 3 { dense 5ep lr=1 }", "a plain loop"),
        ("full: dense 5ep lr=1; sparse 50% from=@full.sta|rt", "the weights before the phase's entry"),
        ("full: dense 5ep lr=1; sparse 50% from=@fu|ll", "**`full`** a phase, line 1"),
        ("dense 5ep lr=1; sparse 50% from=@in|it", "the run's first weights"),
        ("fu|ll: dense 5ep lr=1", "| 0 | full | dense | 0 | - | 5ep | 1 | given |"),
        ("repeat 2 as i { dense 5ep lr=1/2^|i }", "a loop variable"),
        ("dense 5ep lr=|0", "DSD403"),
    ],
)
def test_words(editor: Editor, marked: str, said: str) -> None:
    assert said in (hover_at(editor, marked) or "")


def test_a_phase_shows_its_resolved_rows(editor: Editor) -> None:
    schedule = "dense 50ep lr=8e-4\nsparse 0.5 layers=fc,birnn 50ep\nden|se lr=3e-4\nrepeat sparse 0.25\n"
    said = hover_at(editor, schedule) or ""
    assert "| 2 | dense | 0 | - | 50ep* | 3e-4 | length inherited, lr given |" in said
    assert "| 4 | dense | 0 | - | 50ep* | 3e-5* | `repeat` copies 2 with its lr x 0.1 |" in said
    assert "| 1 |" not in said
    of_loop = hover_at(editor, "dense 1ep lr=1\nrepeat 30 as i { spa|rse 50% lr=1/2^i }\n") or ""
    assert of_loop.count("| sparse |") == 12
    assert "... and 18 more" in of_loop
    assert "|" not in (hover_at(editor, "den|se 5ep lr=0") or "").split("---")[0]  # nothing is resolved with errors


def test_a_diagnostic_shows_its_page(editor: Editor) -> None:
    said = hover_at(editor, "dense 5ep lr=1\nspar|se 50%\n") or ""
    assert "### [DSD303](https://dsd-lang.readthedocs.io/en/stable/rules/ends-sparse/) ends-sparse (warning)" in said
    assert "#### Why is this bad" in said
    assert "```dsd\n" in said


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_page_is_markdown(code: str) -> None:
    page = rule_page(code)
    assert page is not None
    assert "::" not in page
    assert page.count("```") % 2 == 0
    assert "#### What it does" in page


@pytest.mark.parametrize("marked", ["dense |  5ep lr=1", "# a com|ment", "|", "dense 5ep lr=1\n\n|\n"])
def test_nothing_is_said_about_nothing(editor: Editor, marked: str) -> None:
    assert hover_at(editor, marked) is None


def test_a_selector_is_resolved_on_the_model() -> None:
    with session(options={"model": "ds2:hidden=16,layers=2"}) as editor:
        said = hover_at(editor, "sparse 50% layers=bi|rnn 5ep lr=1\ndense\n") or ""
        assert "in this model" in said
        assert "weights: `" in said


def test_every_word_of_the_language_has_a_meaning() -> None:
    words = vocabulary()
    assert set(meanings.KEYWORDS) == {*words.reserved, *SOFT_WORDS, "by"}
    assert set(meanings.MOMENT_MEANINGS) == set(words.moments)
    assert set(meanings.RATE_MEANINGS) == set(words.rates)
    for word in (*words.kinds, *words.roles):
        assert meanings.selector_meaning(word)
    assert all(row.meaning for row in ARGUMENTS)
