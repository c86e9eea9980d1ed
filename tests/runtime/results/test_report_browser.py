"""The report in a real browser, opened as a file and cut off from the network; also without JavaScript."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from made_run import made_run, record_of

from dsd_lang.plan import Phase
from dsd_runtime.results.report import read_runs, report_html

pytestmark = pytest.mark.slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SCHEDULES = {
    "compared": """base: dense 2ep lr=0.1
fork seeds=3 {
  dsd: { sparse 50% 1ep; dense 1ep }
  plain: dense 2ep
  late: { dense 1ep; sparse 50% 1ep; dense 1ep }
}
compare dsd vs plain on=test.err
expect dsd.test.err < 1""",
    "swept": "dense 1ep lr=0.1; sweep s in 25%, 50%, r in 1e-3, 1e-2 { sparse s 1ep lr=r; dense 1ep }",
    "cycles": "set noise=symmetric(20%)\nfirst: dense 2ep lr=0.1; repeat 3 { sparse 50% 1ep; dense 1ep }",
}
EVIL = "<script>document.title='broken'</script><img src=x onerror=document.title='broken'>"
WIDTHS = [1280, 390]
SCHEMES = ["light", "dark"]
Opened = Callable[..., AbstractContextManager[Any]]


def measure(phase: Phase, epoch: int) -> Mapping[str, float | None]:
    err = 20.0 - int(phase.id[1:]) * (1 + 0.1 * phase.seed_index) - epoch
    return {"val.loss": 1.0 + epoch, "val.err": err + 1, "test.err": err}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("needs chromium on the PATH")
    alone = "--host-resolver-rules=MAP * ~NOTFOUND"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", alone])
        yield browser
        browser.close()


@pytest.fixture(params=SCHEDULES)
def report(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A report in which whatever a user writes looks like HTML."""
    made_run(tmp_path, SCHEDULES[request.param], measure, records=record_of, model=EVIL, schedule_text=f"# {EVIL}")
    [run] = read_runs([tmp_path])
    phases = tuple(
        phase.model_copy(update={"label": EVIL if phase.label else None, "path": phase.path.replace("late", EVIL)})
        for phase in run.results.phases
    )
    results = run.results.model_copy(update={"phases": phases})
    (tmp_path / "report.html").write_text(report_html([run._replace(results=results)]), encoding="utf-8")
    return tmp_path / "report.html"


@pytest.fixture
def opened(browser: Any, report: Path) -> Opened:
    """`opened(width, scheme)`: the page with its charts drawn; nothing may go wrong on it."""

    @contextmanager
    def open_page(width: int = 1280, scheme: str = "light") -> Iterator[Any]:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page, troubles = context.new_page(), []
        page.on("console", lambda message: troubles.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request", lambda asked: None if asked.url.startswith(("file:", "data:")) else troubles.append(asked.url)
        )
        page.goto(report.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=60_000)
        yield page
        assert troubles == []
        context.close()

    return open_page


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_chart_is_drawn_from_the_file_alone(opened: Opened, width: int, scheme: str) -> None:
    with opened(width, scheme) as page:
        assert page.locator(".chart").count() == page.locator(".chart[data-drawn] svg").count() > 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_a_user_wrote_shows_as_itself(opened: Opened) -> None:
    with opened() as page:
        assert page.title().endswith(": report")
        assert page.locator("img").count() == 0
        assert page.locator("td, th, dd, pre", has_text=EVIL).count() > 1


@pytest.mark.parametrize(
    ("report", "width", "scheme"),
    [
        *(("compared", width, scheme) for width in WIDTHS for scheme in SCHEMES),
        ("swept", 1280, "dark"),
        ("cycles", 390, "light"),
    ],
    indirect=["report"],
)
def test_axe_finds_no_violation(opened: Opened, width: int, scheme: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe-core (extra `browser`)")
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    with opened(width, scheme) as page:
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [
            (rule["id"], node["target"], node["failureSummary"])
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
        assert told == []
        assert "color-contrast" in [rule["id"] for rule in found["passes"]]


def test_another_layer_of_the_weights_is_drawn_when_it_is_chosen(opened: Opened) -> None:
    with opened() as page:
        figure = page.locator("figure", has_text="Weights at the boundaries")
        figure.get_by_text("40% are 0").first.wait_for()
        figure.get_by_label("layer").select_option("b")
        figure.get_by_text("50% are 0").first.wait_for()
        assert figure.get_by_text("40% are 0").count() == 0


def test_without_javascript_every_table_is_open(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("details.data").count() == page.locator("details.data[open] table").count() > 0
    assert page.locator("details.data table >> visible=true").count() == page.locator("details.data").count()
    context.close()


def test_printing_opens_the_folded_tables(opened: Opened) -> None:
    with opened() as page:
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details.data:not([open])").count() == 0
