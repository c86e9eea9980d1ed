"""The playground in a real browser, cut off from every host but this one."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build_playground
import pytest
from browser_site import REPOSITORY, Watched, browser_path, build_pages, served
from playground_parts import examples

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.views.table import table_rows

pytestmark = pytest.mark.slow
START_MS = 120_000
WRONG = "dense 50 lr=8e-4\nsparse 50% layers=fc,birn\ndense lr=3e-4\n"
PLAIN = "dense 5ep lr=0.1\nsparse 50%\ndense\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="needs mkdocs-material (extra `docs`)")
    folder = tmp_path_factory.mktemp("playground")
    pages = build_pages(folder)
    try:
        build_playground.build(pages, build_playground.default_cache())
    except DsdError as error:
        pytest.skip(f"needs npm, pip and a network once: {error.message}")
    return folder / "www"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = browser_path()
    if path is None:
        pytest.skip("needs chromium on the PATH")
    alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", alone])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Iterator[Watched]:
    """One page for all tests, for it takes seconds to start."""
    context = browser.new_context(viewport={"width": 1400, "height": 950}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address.split("/docs")[0])
    watched = Watched(context, address)
    started = time.perf_counter()
    watched.page.goto(address)
    watched.page.wait_for_selector(".pg-table tbody tr", timeout=START_MS)
    print(f"\nfirst table after {time.perf_counter() - started:.1f} s")
    watched.page.wait_for_selector("[data-words=true]", state="attached", timeout=START_MS)
    yield watched
    context.close()


@pytest.fixture
def page(opened: Watched) -> Iterator[Any]:
    """The page, and nothing went wrong on it."""
    opened.page.select_option("#pg-model", "")
    yield opened.page
    assert opened.troubles == []


PASTE = """(text) => {
  const clipboardData = new DataTransfer()
  clipboardData.setData("text/plain", text)
  const event = new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true})
  document.querySelector(".cm-content").dispatchEvent(event)
}"""


def write(page: Any, text: str) -> None:
    """Another text pasted in place of the old one, and its result waited for."""
    page.click(".cm-content")
    page.keyboard.press("Control+A")
    page.evaluate(PASTE, text)
    settle(page)


def settle(page: Any) -> None:
    """Waits until the newest text is answered."""
    page.wait_for_function("document.getElementById('pg-root').dataset.settled === 'true'", timeout=START_MS)


def text_of(page: Any) -> str:
    return "\n".join(page.locator(".cm-line").all_inner_texts()).replace("\n\n", "\n")


def cells(page: Any) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator(".pg-table tbody tr").all()]


def codes(page: Any) -> list[str]:
    return page.locator("#pg-list .pg-code").all_inner_texts()


class TestReadme:
    def test_it_opens_with_readmes_schedule_and_its_exact_table(self, page: Any) -> None:
        text = examples(REPOSITORY)[0]["text"]
        page.select_option("#pg-example", "0")
        settle(page)
        headers, rows = table_rows(dsd_lang.compile(text))
        assert page.locator(".pg-table thead th").all_inner_texts() == headers
        assert cells(page) == [[cell.replace("`", "") for cell in row] for row in rows]
        assert page.locator("#pg-summary").inner_text() == "Nothing found"
        assert dsd_lang.compile(text).hash in page.locator("#pg-totals").inner_text()

    def test_derived_values_are_marked(self, page: Any) -> None:
        page.select_option("#pg-example", "1")
        page.select_option("#pg-example", "0")
        settle(page)
        marked = page.locator(".pg-table td.pg-derived").all_inner_texts()
        assert marked == ["50ep*", "8e-4*", "50ep*", "fc, birnn*", "50ep*", "8e-5*", "50ep*", "3e-5*"]

    def test_a_schedule_with_the_file_that_it_uses(self, page: Any) -> None:
        tabs = page.locator("#pg-files [role=tab]")
        write(page, PLAIN)
        page.once("dialog", lambda dialog: dialog.accept("parts.dsd"))
        page.click(".pg-add")
        assert tabs.all_inner_texts() == ["schedule", "parts.dsd"]
        write(page, "def cycle(s) { sparse s 3ep; dense }\n")
        assert len(cells(page)) == 3, "the plan is that of the schedule"
        tabs.nth(0).click()
        assert text_of(page).strip() == PLAIN.strip()
        write(page, 'use "parts.dsd"\ndense 5ep lr=0.1\ncycle(30%)\n')
        assert [row[1] for row in cells(page)] == ["dense", "sparse", "dense"]
        assert codes(page) == []
        page.click("#pg-share")
        page.wait_for_function("location.hash.includes('&files=')")
        fragment = page.evaluate("location.hash")
        tabs.nth(1).click()
        write(page, "def cycle(s) { sparse 3ep }\n")
        assert codes(page) != []
        page.once("dialog", lambda dialog: dialog.accept())
        page.click(".pg-remove")
        settle(page)
        assert tabs.all_inner_texts() == ["schedule"]
        assert codes(page)[0] == "DSD211"
        page.evaluate("location.hash = ''")
        page.evaluate("(fragment) => { location.hash = fragment }", fragment)
        page.wait_for_function("document.querySelectorAll('#pg-files [role=tab]').length === 2")
        settle(page)
        assert [row[1] for row in cells(page)] == ["dense", "sparse", "dense"]
        page.select_option("#pg-example", "0")
        settle(page)
        assert tabs.all_inner_texts() == ["schedule"]

    @pytest.mark.parametrize("name", ["parts", "a/b.dsd", "playground.dsd"])
    def test_a_name_that_is_no_file_is_refused(self, page: Any, name: str) -> None:
        settle(page)
        page.once("dialog", lambda dialog: dialog.accept(name))
        page.click(".pg-add")
        assert page.locator("#pg-files [role=tab]").count() == 1
        assert name in page.locator("#pg-problem").inner_text()
        page.select_option("#pg-example", "1")
        settle(page)

    def test_every_schedule_compiles(self, page: Any) -> None:
        for number, example in enumerate(examples(REPOSITORY)):
            if example["group"] == "Schedules":
                page.select_option("#pg-example", str(number))
                settle(page)
                assert page.locator("#pg-problem").is_hidden(), example["name"]
                assert page.locator("#pg-stale").is_hidden(), example["name"]
                assert page.locator("#pg-timeline svg .phase").count() > 0


class TestDiagnostics:
    def test_a_mistake_is_shown_where_it_is(self, page: Any) -> None:
        write(page, WRONG)
        assert codes(page) == ["DSD402", "DSD201"]
        assert page.locator(".cm-lintRange-error").all_inner_texts() == ["50", "birn"]
        assert page.locator("#pg-list .pg-place").all_inner_texts() == ["1:7", "2:22"]
        assert page.locator("#pg-list a").first.get_attribute("href") == "../rules/length-without-unit/"

    def test_a_click_goes_there(self, page: Any) -> None:
        write(page, WRONG)
        page.locator("#pg-list .pg-finding").nth(1).click()
        assert page.evaluate("getSelection().toString()") == "birn"

    def test_the_old_plan_stays_and_says_so(self, page: Any) -> None:
        write(page, PLAIN)
        write(page, WRONG)
        assert page.locator("#pg-stale").is_visible()
        assert len(cells(page)) == 3
        assert page.locator("#pg-download").is_disabled()

    def test_a_fix_is_one_button_and_one_undo(self, page: Any) -> None:
        write(page, WRONG)
        page.locator("#pg-list .pg-apply").first.click()
        settle(page)
        assert text_of(page).startswith("dense 50ep lr=8e-4\n")
        assert codes(page) == ["DSD201"]
        page.keyboard.press("Control+Z")
        settle(page)
        assert codes(page) == ["DSD402", "DSD201"]

    def test_fixes_that_keep_the_plan_go_in_at_once(self, page: Any) -> None:
        write(page, "dense 5ep lr=0.1  # dsd: ignore[DSD303]\n")
        assert codes(page) == ["DSD903"]
        page.click("#pg-fix")
        page.wait_for_function("document.querySelector('#pg-list').children.length === 0")
        settle(page)
        assert "ignore" not in text_of(page)
        assert page.locator("#pg-fix").is_disabled()

    def test_a_box_on_hover_has_the_page_and_the_fix(self, page: Any) -> None:
        write(page, WRONG)
        page.locator(".cm-lintRange-error").nth(1).hover()
        box = page.locator(".cm-tooltip-lint")
        box.wait_for()
        assert "unknown-layer" in box.inner_text()
        box.locator(".cm-diagnosticAction").click()
        settle(page)
        assert codes(page) == ["DSD402"]

    def test_characters_beyond_the_first_plane_do_not_shift_places(self, page: Any) -> None:
        write(page, "# 𝒳𝒴\ndense 50 lr=0.1 # 𝒵\n")
        assert page.locator(".cm-lintRange-error").all_inner_texts() == ["50"]


class TestPlan:
    def test_format(self, page: Any) -> None:
        write(page, "dense 5ep lr=0.1;sparse .5;dense\n")
        page.click("#pg-format")
        page.wait_for_function("document.querySelectorAll('.cm-line').length === 4")
        assert text_of(page) == PLAIN

    def test_a_text_that_cannot_be_formatted_says_why(self, page: Any) -> None:
        write(page, "dense 5ep {\n")
        page.click("#pg-format")
        page.locator("#pg-problem").wait_for()
        assert text_of(page).startswith("dense 5ep {")

    def test_the_timeline_leads_to_the_text(self, page: Any) -> None:
        write(page, PLAIN)
        page.locator("#pg-timeline .phase").nth(1).click()
        assert page.evaluate("getSelection().toString()") == "sparse 50%"
        assert page.locator(".pg-table tr.current .pg-mode").all_inner_texts() == ["sparse"]

    def test_the_graph(self, page: Any) -> None:
        write(page, PLAIN)
        page.click("#pg-tab-graph")
        page.wait_for_selector("#pg-graph svg", timeout=START_MS)
        assert "1 sparse 50%" in page.locator("#pg-graph").inner_text()
        page.click("#pg-tab-plan")
        assert page.locator("#pg-graph").is_hidden()

    def test_the_plan_can_be_kept(self, page: Any) -> None:
        write(page, PLAIN)
        with page.expect_download() as download:
            page.click("#pg-download")
        plan = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
        assert plan["hash"] == dsd_lang.compile(PLAIN).hash

    def test_a_model_checks_layers_and_counts_weights(self, page: Any) -> None:
        write(page, PLAIN)
        page.select_option("#pg-model", "lenet_300_100")
        settle(page)
        assert "266,610 parameters" in page.locator("#pg-counts").inner_text()
        write(page, "dense 5ep\nsparse 50% layers=conv\ndense\n")
        assert codes(page) == ["DSD201"]

    def test_a_very_large_program_is_refused_in_words(self, page: Any) -> None:
        write(page, "repeat 5000 { dense 1ep lr=0.1 }\n")
        assert "expands to 5,000 phases" in page.locator("#pg-problem").inner_text()
        write(page, PLAIN)
        assert page.locator("#pg-problem").is_hidden()

    def test_the_largest_program_compiles(self, page: Any) -> None:
        write(page, "dense 1ep lr=0.1\nrepeat 333 { sparse 50% 1ep lr=0.1; dense 1ep; dense 1ep }\n")
        assert page.locator("#pg-problem").is_hidden()
        assert "and 700 more phases" in page.locator(".pg-table").inner_text()

    def test_deep_nesting_does_not_break_the_compiler(self, page: Any) -> None:
        write(page, f"dense 5ep lr={'(' * 90}0.1{')' * 90}\n" + "repeat 1 { " * 63 + "dense" + " }" * 63 + "\n")
        assert page.locator("#pg-problem").is_hidden()
        assert len(cells(page)) == 2


class TestEditor:
    def test_words_are_coloured_by_the_shared_table(self, page: Any) -> None:
        write(page, "a: dense 5ep lr=prev/2 # note\nsparse 0->90% layers=fc,/x[1]/ every=100it\n")
        for kind, words in {
            "label": ["a"],
            "mode": ["dense", "sparse"],
            "unit": ["ep", "%", "it"],
            "argument": ["lr", "layers", "every"],
            "rate": ["prev"],
            "comment": ["# note"],
            "arrow": ["->"],
            "layer": ["fc"],
            "regex": ["/x[1]/"],
        }.items():
            assert page.locator(f".cm-content .dsd-{kind}").all_inner_texts() == words, kind

    def test_completion_offers_what_fits(self, page: Any) -> None:
        write(page, "dense 5ep lr=0.1\nsparse 50%\ndense restore=")
        page.keyboard.press("Control+Space")
        page.locator(".cm-tooltip-autocomplete").wait_for()
        offered = page.locator(".cm-tooltip-autocomplete .cm-completionLabel").all_inner_texts()
        assert {"zero", "saved", "init", "random"} <= set(offered)
        page.keyboard.type("sav")
        page.wait_for_timeout(300)
        page.keyboard.press("Enter")
        settle(page)
        assert text_of(page).endswith("dense restore=saved")

    def test_hover_explains_a_word(self, page: Any) -> None:
        write(page, "dense 5ep lr=0.1 decay=cosine\n")
        page.locator(".cm-content .dsd-argument").nth(1).hover()
        page.locator(".pg-page").wait_for()
        assert "decay" in page.locator(".pg-page").inner_text()

    def test_tab_leaves_the_editor(self, page: Any) -> None:
        page.click(".cm-content")
        page.keyboard.press("Escape")
        page.keyboard.press("Tab")
        assert not page.evaluate("document.activeElement.closest('.cm-editor') !== null")

    def test_the_keyboard_reaches_tabs_and_rows(self, page: Any) -> None:
        write(page, PLAIN)
        page.focus("#pg-tab-plan")
        page.keyboard.press("ArrowRight")
        assert page.locator("#pg-tab-graph").get_attribute("aria-selected") == "true"
        page.keyboard.press("ArrowLeft")
        page.locator(".pg-table td button").nth(2).focus()
        page.keyboard.press("Enter")
        page.wait_for_function("getSelection().toString() === 'dense'")

    def test_keystrokes_are_answered_at_once(self, page: Any) -> None:
        write(page, examples(REPOSITORY)[0]["text"])
        page.keyboard.press("Control+End")
        taken = []
        for letter in "dense 5ep lr=1e-3":
            started = time.perf_counter()
            page.keyboard.type(letter)
            settle(page)
            taken.append(time.perf_counter() - started)
        print(
            f"\nkeystroke to result: median {statistics.median(taken) * 1000:.0f} ms, most {max(taken) * 1000:.0f} ms"
        )
        assert statistics.median(taken) < 1


class TestSharing:
    def test_a_link_holds_text_and_model(self, page: Any, opened: Watched, address: str) -> None:
        text = "# größer 𝒳\ndense 5ep lr=0.1\nsparse 50%\ndense\n"
        write(page, text)
        page.select_option("#pg-model", "resnet20")
        settle(page)
        page.click("#pg-share")
        page.wait_for_function("document.getElementById('pg-status').textContent === 'link copied'")
        link = page.evaluate("navigator.clipboard.readText()")
        assert link.startswith(f"{address}#text=")
        again = Watched(page.context, address)
        again.page.goto(link)
        again.page.wait_for_selector(".pg-table tbody tr", timeout=START_MS)
        assert text_of(again.page) == text
        assert again.page.input_value("#pg-model") == "resnet20"
        assert again.troubles == []
        again.page.close()

    def test_a_new_fragment_is_followed(self, page: Any) -> None:
        write(page, PLAIN)
        page.evaluate("location.hash = ''")
        page.click("#pg-share")
        page.wait_for_function("location.hash.startsWith('#text=')")
        fragment = page.evaluate("location.hash")
        write(page, WRONG)
        page.evaluate("location.hash = ''")
        page.evaluate("(fragment) => { location.hash = fragment }", fragment)
        page.wait_for_function("document.querySelectorAll('#pg-list li').length === 0")
        assert text_of(page) == PLAIN

    def test_a_damaged_link_says_so(self, page: Any) -> None:
        write(page, PLAIN)
        page.evaluate("location.hash = '#text=AAAA_-not-a-schedule'")
        page.locator("#pg-problem").wait_for()
        assert "the link is damaged" in page.locator("#pg-problem").inner_text()
        assert text_of(page) == PLAIN


STUCK = """
postMessage({ready: true, dsd: "0", python: "0", pyodide: "0"})
self.onmessage = ({data: {id, question}}) => question.ask === "models" && postMessage({id, answer: {models: []}})
"""


class TestPatience:
    def test_a_huge_text_neither_stops_typing_nor_the_page(self, page: Any) -> None:
        write(page, "dense 1ep lr=0.1\n" * 200_000)
        started = time.perf_counter()
        page.keyboard.type("# still here")
        assert time.perf_counter() - started < 5
        settle(page)
        assert "characters, and this page compiles at most" in page.locator("#pg-problem").inner_text()
        write(page, PLAIN)
        assert page.locator("#pg-problem").is_hidden()

    def test_a_compiler_that_does_not_answer_is_started_again(self, browser: Any, address: str) -> None:
        context = browser.new_context()
        watched = Watched(context, address)
        starts: list[str] = []

        def worker(route: Any) -> None:
            starts.append(route.request.url)
            if len(starts) == 1:
                route.fulfill(body=STUCK, content_type="text/javascript")
            else:
                route.continue_()

        context.route("**/worker.js", worker)
        watched.page.goto(address)
        watched.page.wait_for_selector("#pg-problem:not([hidden])", timeout=30_000)
        assert "takes longer than 10 seconds" in watched.page.locator("#pg-problem").inner_text()
        write(watched.page, PLAIN)
        assert len(cells(watched.page)) == 3
        assert len(starts) == 2
        assert watched.troubles == []
        context.close()

    def test_a_compiler_that_cannot_be_loaded_says_so(self, browser: Any, address: str) -> None:
        context = browser.new_context()
        context.route("**/manifest.json", lambda route: route.fulfill(status=404))
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#pg-problem:not([hidden])", timeout=START_MS)
        assert "manifest.json cannot be loaded (404)" in page.locator("#pg-problem").inner_text()
        assert page.locator("#pg-status").inner_text() == "the compiler is not there"
        context.close()

    def test_an_old_answer_never_replaces_a_newer_one(self, page: Any) -> None:
        for number in range(1, 30):
            page.click(".cm-content")
            page.keyboard.press("Control+A")
            page.evaluate(PASTE, f"dense {number}ep lr=0.1\n")
            page.wait_for_timeout(number * 7 % 90)
        settle(page)
        assert cells(page)[0][4] == "29ep"


class TestLook:
    @pytest.mark.parametrize("width", [360, 800, 1400])
    def test_the_page_never_scrolls_sideways(self, page: Any, width: int) -> None:
        write(page, PLAIN)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(400)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        svg = page.locator("#pg-timeline svg").bounding_box()
        assert svg["x"] + svg["width"] <= width
        page.set_viewport_size({"width": 1400, "height": 950})

    def test_colours_follow_the_site(self, page: Any) -> None:
        background = "getComputedStyle(document.querySelector('.pg .cm-editor')).backgroundColor"
        light = page.evaluate(background)
        page.evaluate("document.body.setAttribute('data-md-color-scheme', 'slate')")
        assert page.evaluate(background) != light
        page.evaluate("document.body.setAttribute('data-md-color-scheme', 'default')")

    def test_without_its_files_the_page_says_that_it_was_not_built(self, browser: Any, tmp_path: Path) -> None:
        build_pages(tmp_path)
        with served(tmp_path / "www") as address:
            page = browser.new_page()
            page.goto(address)
            page.wait_for_timeout(500)
            assert re.search("was not built", page.inner_text("article"))
            assert page.locator("#pg-root").is_hidden()
            page.close()
