"""Every method of the registries has a page, which says what it needs as the engine does, and whose schedule trains."""

from __future__ import annotations

import re
from pathlib import Path

import docs_methods
import pytest
from docs_console import FENCE

import dsd_lang
from dsd_lang.base.options import Option
from dsd_lang.plan import Plan
from dsd_lang.plan.enforcing import Enforcing

DOCS = Path(__file__).resolve().parents[2] / "docs"
FIGURE = re.compile(r"(?<![\d-])\d+\.\d+")
HEADINGS = ["What it computes", "When to use it", "What it costs", "A schedule"]
METHODS = docs_methods.methods()
WRITTEN = [f"{argument}={option.name}" for argument, option in METHODS]
PAGES = [*(docs_methods.page_of(argument, option.name) for argument, option in METHODS), docs_methods.PATTERNS]
NEEDS = {
    "nothing": "Nothing but the weights",
    "model": "The whole model, and the shape of one input",
    "gradients": "The gradients of the loss on `batches=` batches",
    "batches": "The inputs of the layers on `samples=` samples",
    "phase": "Every update of its phase",
}
COPIES = [
    "No more copies of the masked weights",
    "One more copy of the masked weights",
    "two more copies of the masked",
]


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    return " ".join(text_of(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0].split())


def schedule_of(page: str) -> str:
    [block] = [match["body"] for match in FENCE.finditer(text_of(page)) if match["info"].split()[:1] == ["dsd"]]
    return block


def plan_of(page: str) -> Plan:
    return dsd_lang.compile(schedule_of(page))


def test_every_method_has_a_page_and_every_page_a_method() -> None:
    found = {path.relative_to(DOCS).as_posix() for path in (DOCS / "methods").glob("*/*.md")}
    assert found == set(PAGES)
    linked = [
        page
        for part in docs_methods.navigation()
        for pages in part.values()
        for item in pages
        for page in item.values()
    ]
    assert sorted(linked) == sorted(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_every_part(page: str) -> None:
    assert re.findall(r"^## (.*)$", text_of(page), re.MULTILINE) == HEADINGS
    assert [heading for heading in HEADINGS if not section(page, heading)] == []
    assert plan_of(page).settings["data"] == "digits"


@pytest.mark.parametrize(("argument", "option"), METHODS, ids=WRITTEN)
def test_a_page_is_about_its_method(argument: str, option: Option) -> None:
    page = docs_methods.page_of(argument, option.name)
    text = text_of(page)
    assert f"<!-- method: {argument}={option.name} -->\n" in text
    prose = text.partition("<!-- end -->")[2].partition("\n## A schedule\n")[0]
    assert [name for name in option.named if not re.search(rf"\b{name}\b", prose)] == []
    values = [getattr(phase, argument) for phase in plan_of(page).phases if phase.mode == "sparse"]
    assert option.name in [value if isinstance(value, str) else value.name for value in values if value is not None]


@pytest.mark.parametrize("name", [option.name for argument, option in METHODS if argument == "by"])
def test_a_score_needs_what_its_page_says(name: str) -> None:
    scores = pytest.importorskip("dsd_runtime.masks.scores")
    assert section(docs_methods.page_of("by", name), "What it costs").startswith(NEEDS[scores.SCORES[name].needs])


@pytest.mark.parametrize("name", [option.name for argument, option in METHODS if argument == "enforce"])
def test_a_way_to_act_keeps_as_many_copies_as_its_page_says(name: str) -> None:
    assert COPIES[Enforcing(name).num_copies] in section(docs_methods.page_of("enforce", name), "What it costs")


def test_movement_keeps_as_many_copies_as_its_page_says() -> None:
    assert COPIES[Enforcing("hard", score_lr=0.01).num_copies] in section("methods/by/movement.md", "What it costs")


@pytest.mark.parametrize("name", [option.name for argument, option in METHODS if argument == "update"])
def test_a_mask_update_takes_the_place_of_a_step_where_its_page_says_so(name: str) -> None:
    moving = pytest.importorskip("dsd_runtime.masks.moving")
    costs = section(docs_methods.page_of("update", name), "What it costs")
    assert ("takes the place of a step" in costs) == moving.MOVES[name].replaces_step


def figures_found() -> set[str]:
    """Those of the schedules' claims, of the family pages and of a benchmark: as they are, and rounded as pages do."""
    folders = ((DOCS.parent / "schedules", "*.dsd"), (DOCS / "methods", "*.md"))
    sources = [path for folder, pattern in folders for path in folder.glob(pattern)]
    sources.append(DOCS.parent / "benchmarks" / "results" / "2026-11-22-enforce.md")
    found = {figure for path in sources for figure in FIGURE.findall(path.read_text(encoding="utf-8"))}
    return found | {f"{float(figure):.{places}f}" for figure in found for places in (1, 2)}


def test_figures_of_pages_stand_where_they_were_measured_or_published() -> None:
    cited = {page: FIGURE.findall(section(page, "When to use it") + section(page, "What it costs")) for page in PAGES}
    assert sum(map(len, cited.values())) > 40
    known = figures_found()
    assert {page: set(figures) - known for page, figures in cited.items() if set(figures) - known} == {}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_schedule_of_a_page_trains(page: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `dsd-run`, at a fifth of its length: every phase is trained, and ends with the masks it asks for."""
    cli = pytest.importorskip("dsd_runtime.cli")
    reading = pytest.importorskip("dsd_runtime.results.reading")
    schedule = tmp_path / "a.dsd"
    schedule.write_text(schedule_of(page), encoding="utf-8")
    out = tmp_path / "run"
    command = [str(schedule), "--out", str(out), "--scale", "0.2", "--progress", "none", "--threads", "1"]
    assert cli.main(command) == 0, capsys.readouterr().err
    phases = reading.read_results(out).phases
    assert len(phases) == len(plan_of(page).phases)
    assert all((phase.sparsity > 0.4) == (phase.mode == "sparse") for phase in phases)
