"""The report in a real browser, opened as a file and cut off from the network; also without JavaScript."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from made_run import made_run

from dsd_lang.plan import Phase
from dsd_runtime.results.report import write_report

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
    "cycles": "dense 2ep lr=0.1; repeat 3 { sparse 50% 1ep; dense 1ep }",
}
EVIL = "<img src=x onerror=document.title='broken'>"


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
    made_run(tmp_path, SCHEDULES[request.param], measure, model=EVIL, schedule_text=EVIL)
    write_report(tmp_path)
    return tmp_path / "report.html"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn_from_the_file_alone(browser: Any, report: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, troubles = context.new_page(), []
    page.on("console", lambda message: troubles.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request", lambda asked: troubles.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
    )
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=60_000)
    assert page.locator(".chart").count() == page.locator(".chart[data-drawn] svg").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.title().endswith(": report")
    assert troubles == []
    context.close()


def test_without_javascript_every_table_is_open(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("details.data").count() == page.locator("details.data[open] table").count() > 0
    assert page.locator("details.data table >> visible=true").count() == page.locator("details.data").count()
    context.close()


def test_printing_opens_the_folded_tables(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=60_000)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.data:not([open])").count() == 0
    page.close()
