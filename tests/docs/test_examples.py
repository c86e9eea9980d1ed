"""The examples of README.md and docs/ run: schedules compile or give the code they name, Python blocks execute."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from docs_console import FENCE

import dsd_lang
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.lint.checking import check_text

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
FILE = re.compile(r'\btitle="[^"]+"')
DEFAULT_CODES = frozenset(entry.code for entry in CATALOGUE.values() if entry.default)


class Example(NamedTuple):
    page: str
    line: int
    info: str
    body: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def examples(language: str) -> list[Example]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            words = match["info"].split()
            if words[:1] == [language]:
                line = text.count("\n", 0, match.start()) + 1
                info = FILE.sub("", " ".join(words[1:])).strip()
                found.append(Example(str(page.relative_to(REPOSITORY)), line, info, match["body"]))
    return found


SCHEDULES = examples("dsd")


def test_there_are_examples() -> None:
    assert len(SCHEDULES) > 60
    assert len(examples("python")) >= 20
    assert len({example.page for example in SCHEDULES}) >= 9


@pytest.mark.parametrize("example", [item for item in SCHEDULES if not item.info], ids=lambda item: item.name)
def test_schedule_compiles(example: Example) -> None:
    assert dsd_lang.compile(example.body).phases


@pytest.mark.parametrize("example", [item for item in SCHEDULES if item.info], ids=lambda item: item.name)
def test_schedule_gives_the_code_it_names(example: Example) -> None:
    severity, code = example.info.split()
    found = {diagnostic.code: diagnostic.severity for diagnostic in check_text(example.body, selected=DEFAULT_CODES)}
    assert found.get(code) == severity, found
    if severity == "error":
        with pytest.raises(dsd_lang.ScheduleError):
            dsd_lang.compile(example.body)
    else:
        assert dsd_lang.compile(example.body).phases


PYTHON_PAGES = [
    page for page in PAGES if any(item.page == str(page.relative_to(REPOSITORY)) for item in examples("python"))
]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_python_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One namespace for each page, in the repository's root, so that a later block may use what an earlier one made."""
    blocks = [example for example in examples("python") if example.page == str(page.relative_to(REPOSITORY))]
    if find_spec("torch") is None and any("torch" in block.body or "dsd_runtime" in block.body for block in blocks):
        pytest.skip("needs the extra `run`: the blocks of this page use torch")
    for extra in ("accelerate", "lightning", "transformers"):
        if find_spec(extra) is None and any(re.search(rf"^(from|import) {extra}\b", b.body, re.M) for b in blocks):
            pytest.skip(f"needs the extra `{extra}`")
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    namespace: dict[str, object] = {"__name__": "__example__"}
    for block in blocks:
        padding = "\n" * block.line  # so that a traceback shows the page's own lines
        exec(compile(padding + block.body, str(page), "exec"), namespace)


def test_every_code_is_in_the_reference() -> None:
    page = (REPOSITORY / "docs" / "language.md").read_text(encoding="utf-8")
    for entry in CATALOGUE.values():
        severity = entry.severity if entry.default else f"{entry.severity}, off by default"
        assert f"| {entry.code} | {entry.name} | {severity} |" in page


def test_every_argument_is_in_the_reference() -> None:
    from dsd_lang.base.arguments import ARGUMENTS

    page = (REPOSITORY / "docs" / "language.md").read_text(encoding="utf-8")
    for argument in ARGUMENTS:
        assert re.search(rf"\b{argument.name}\b", page), argument.name
        for option in argument.options:
            assert re.search(rf"\b{option.name}\b", page), f"{argument.name}={option.name}"


def test_every_model_and_data_set_is_in_the_engine_page() -> None:
    import inspect
    from importlib import import_module

    from dsd_runtime.data.registry import LOADERS
    from dsd_runtime.models.catalogue import MODELS

    page = (REPOSITORY / "docs" / "engine.md").read_text(encoding="utf-8")
    for name, spec in MODELS.items():
        [row] = [line for line in page.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
        for option in spec.options:
            assert option in row, f"{name}: {option}"
    for name, target in LOADERS.items():
        rows = [line for line in page.splitlines() if re.match(rf"\| `{name}(:PATH)?` \|", line)]
        row = "".join(rows)
        assert row, name
        module, _, function = target.partition(":")
        loader = getattr(import_module(module), function)
        for option in list(inspect.signature(loader).parameters)[1:]:
            assert option in row or ("as `manifest`" in row and option in page), f"{name}: {option}"


def test_every_flag_of_dsd_run_is_in_the_engine_page() -> None:
    from dsd_runtime.cli import build_parser

    page = (REPOSITORY / "docs" / "engine.md").read_text(encoding="utf-8")
    for action in build_parser()._actions:
        for flag in action.option_strings:
            if flag.startswith("--") and flag not in ("--help", "--version"):
                assert flag in page, flag


def test_the_page_about_the_report_has_its_sections_figures_and_options() -> None:
    from dsd_runtime.results import figures
    from dsd_runtime.results.cli import build_parser

    page = (REPOSITORY / "docs" / "how-to" / "read-the-report.md").read_text(encoding="utf-8")
    template = REPOSITORY / "runtime" / "dsd_runtime" / "results" / "templates" / "report.html.j2"
    sections = re.findall(r"<h2[^>]*>([^<{]+)</h2>", template.read_text(encoding="utf-8"))
    assert len(sections) >= 7
    assert [section for section in sections if f"| {section} |" not in page] == []
    names = {function.__name__.replace("_", " ") for function in figures.SHAPED} - {"weight distributions"}
    assert [name for name in names | {"weights"} if f"`{name}`" not in page] == []
    flags = {flag for action in build_parser()._actions for flag in action.option_strings if flag.startswith("--")}
    assert [flag for flag in flags - {"--help", "--version"} if f"| `{flag}" not in page] == []
