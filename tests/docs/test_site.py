"""The site builds without a warning, reads without a network, and has its pages where links from elsewhere point."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

from dsd_lang.base.diagnostics import CATALOGUE

REPOSITORY = Path(__file__).resolve().parents[2]
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "video": "src"}
NOT_LOADED = {"canonical", "prev", "next", "edit", "license", "author"}  # relations of `<link>` that fetch nothing
pytestmark = pytest.mark.skipif(find_spec("material") is None, reason="needs the extra `docs`: pip install '.[docs]'")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Loaded(HTMLParser):
    """Collects what a browser fetches for a page, and the page's own links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.classes.update((given.get("class") or "").split())
        if tag == "link" and (given.get("rel") or "") not in NOT_LOADED:
            self.found.append(given.get("href") or "")
        elif tag in LOADING:
            self.found.append(given.get(LOADING[tag]) or "")
        self.found += re.findall(r"url\(([^)]+)\)", given.get("style") or "")


def loaded(page: Path) -> Loaded:
    parser = Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def is_external(address: str) -> bool:
    return re.match(r"\s*['\"]?(?:[a-z]+:)?//", address) is not None


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    assert {
        str(page): [item for item in loaded(page).found if is_external(item)]
        for page in pages
        if any(map(is_external, loaded(page).found))
    } == {}


def test_no_style_sheet_fetches_anything_from_elsewhere(site: Path) -> None:
    found = []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        found += [item for item in re.findall(r"url\(([^)]+)\)|@import\s+([^;]+)", text) if any(map(is_external, item))]
    assert found == []


def test_nothing_on_the_pages_makes_the_theme_fetch_more(site: Path) -> None:
    """The theme's script fetches Mermaid where a page has a diagram of it, and asks forges about a repository."""
    for page in site.rglob("*.html"):
        assert not loaded(page).classes & {"mermaid", "md-source"}, page


def test_rules_stand_where_diagnostics_point(site: Path) -> None:
    for entry in CATALOGUE.values():
        assert (site / "rules" / entry.name / "index.html").is_file()


def test_schedules_are_coloured(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'<span class="k\w*">dense</span>', page)


def test_codes_in_the_reference_are_links_and_fences_have_titles(site: Path) -> None:
    page = (site / "language" / "index.html").read_text(encoding="utf-8")
    assert '<a href="../rules/ends-sparse/">ends-sparse</a>' in page
    assert '<span class="filename">error[DSD102]: missing-separator</span>' in page
    assert "```" not in page


def test_every_marker_of_a_page_is_known(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "INCLUDE " not in page.read_text(encoding="utf-8")


def test_no_page_shows_its_settings_as_text(site: Path) -> None:
    """What stands between `---` at the head of a page is read by the site, and not shown."""
    shown = [page for page in site.rglob("*.html") if re.search(r"<p>-{3}\s", page.read_text(encoding="utf-8"))]
    assert shown == []


def test_reports_are_small_and_have_their_script_beside_them(site: Path) -> None:
    reports = sorted((site / "reports").glob("*.html"))
    assert reports
    for report in reports:
        assert "charts.js" in loaded(report).found
        assert report.stat().st_size < 1_500_000
    assert "vegaEmbed" in (site / "reports" / "charts.js").read_text(encoding="utf-8")
