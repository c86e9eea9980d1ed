"""Every command line that a page shows is run; what it prints is what the page shows."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from docs_console import Shown, agrees, has_commands, run_page, steps, trains

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if has_commands(page.read_text(encoding="utf-8"))]
LIGHT = [page for page in PAGES if not trains(page.read_text(encoding="utf-8"))]
HEAVY = [page for page in PAGES if page not in LIGHT]


def check(page: Path, folder: Path) -> None:
    for step, output in run_page(page.read_text(encoding="utf-8"), folder):
        assert agrees(step, output), f"`python tools/refresh_docs.py {page}`; `{step.command}` prints:\n{output}"


@pytest.mark.parametrize("page", LIGHT, ids=lambda page: str(page.relative_to(DOCS)))
def test_transcripts_are_real(page: Path, tmp_path: Path) -> None:
    check(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", HEAVY, ids=lambda page: str(page.relative_to(DOCS)))
def test_transcripts_of_trainings_are_real(page: Path, tmp_path: Path) -> None:
    if find_spec("torch") is None:
        pytest.skip("needs the extra `run`: the page trains a model")
    check(page, tmp_path)


def test_there_are_transcripts_of_both_sorts() -> None:
    assert len(LIGHT) >= 2
    assert len(HEAVY) >= 2


def shown(command: str, output: str) -> Shown:
    [step] = steps(f"```console\n$ {command}\n{output}```\n")
    assert isinstance(step, Shown)
    return step


def test_a_light_command_is_compared_to_the_letter() -> None:
    assert agrees(shown("dsd-lint a.dsd", "1 error\n"), "1 error\n")
    assert not agrees(shown("dsd-lint a.dsd", "1 error\n"), "2 errors\n")
    assert not agrees(shown("dsd-lint a.dsd", "1 error\n"), "1 error\nmore\n")


def test_a_line_of_dots_stands_for_any_lines() -> None:
    step = shown("dsd-lint a.dsd", "first\n...\nlast\n")
    assert agrees(step, "first\nlast\n")
    assert agrees(step, "first\nsecond\nthird\nlast\n")
    assert not agrees(step, "first\nsecond\n")


def test_figures_of_a_training_may_differ_and_words_may_not() -> None:
    step = shown("dsd-run a.dsd", "D1: finished in 9s\nloss  0.25\n")
    assert agrees(step, "D1: finished in 1m 12s\nloss  0.3125\n")
    assert not agrees(step, "D2: stopped after 9s\nloss  0.25\n")
    assert agrees(shown("dsd-run a.dsd", "about 1.5ms each, in all 0.66s\n"), "about 0.2s each, in all 1m 15s\n")
