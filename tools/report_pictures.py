"""Takes the pictures of reports that README and the pages show, from real runs of their own schedules.

    python tools/report_pictures.py [NAME ...]

trains what the folder `runs/pictures` does not have yet, opens each report in Chromium, and writes
`docs/assets/NAME.png`. Needs `pip install -e '.[run,browser]'` and `chromium` on the PATH.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from docs_commands import environment, launcher
from docs_console import FENCE

REPOSITORY = Path(__file__).resolve().parent.parent
ASSETS = REPOSITORY / "docs" / "assets"
RUNS = REPOSITORY / "runs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LARGEST = 250_000
_WIDTH = 1100


class Picture(NamedTuple):
    """A schedule of a page (or a file in schedules/), and what of its report is shown.

    That is the page up to the section ``last``, or the one figure whose title has ``figure`` in it.
    """

    schedule: str
    last: str = ""
    figure: str = ""


PICTURES = {
    "report-first": Picture("schedules/first.dsd", last="timeline"),
    "report": Picture("docs/tutorial.md#fair.dsd", last="curves"),
    "report-tickets": Picture("docs/how-to/lottery-tickets.md#tickets.dsd", figure="over the weights remaining"),
    "report-descent": Picture("docs/how-to/double-descent.md#descent.dsd", figure="double descent"),
}


def main(names: Sequence[str]) -> int:
    """Writes the named pictures, or all."""
    for name in names or PICTURES:
        report = trained(name, schedule_text(PICTURES[name].schedule))
        with page_of(report) as page:
            shot = part_of(page, PICTURES[name])
        size = write_small(shot, ASSETS / f"{name}.png")
        sys.stdout.write(f"{name}.png  {size / 1000:.0f} kB\n")
    return 0


def schedule_text(where: str) -> str:
    """The text of a schedule: a file, or the last fence with that title on a page."""
    path, _, title = where.partition("#")
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    if not title:
        return text
    return [fence["body"] for fence in FENCE.finditer(text) if f'title="{title}"' in fence["info"]][-1]


def trained(name: str, schedule: str) -> Path:
    """The report of a run of the schedule, trained where it is not yet."""
    folder = RUNS / name
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(PICTURES[name].schedule.rpartition("#")[2]).stem
    (folder / f"{stem}.dsd").write_text(schedule, encoding="utf-8")
    command = [*launcher("dsd-run"), f"{stem}.dsd", "--progress", "none", "--out", f"runs/{stem}"]
    done = subprocess.run(command, cwd=folder, env=environment(), check=False)
    if done.returncode not in (0, 1):  # 1: an `expect` failed, which the report says
        raise RuntimeError(f"`dsd-run {stem}.dsd` ended with {done.returncode}")
    return folder / "runs" / stem / "report.html"


@contextmanager
def page_of(report: Path) -> Iterator[Any]:
    """The report in a browser, with every chart drawn and all tables of charts closed."""
    from playwright.sync_api import sync_playwright

    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise RuntimeError("needs chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": 900}, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=120_000)
        page.evaluate("for (const table of document.querySelectorAll('details.data')) table.open = false")
        yield page
        browser.close()


def part_of(page: Any, picture: Picture) -> bytes:
    """The shown part as PNG."""
    if picture.figure:
        found = page.locator("figure").filter(has_text=re.compile(picture.figure, re.IGNORECASE))
        return bytes(found.first.screenshot())
    box = page.locator(f"section[aria-labelledby={picture.last}]").bounding_box()
    clip = {"x": 0, "y": 0, "width": _WIDTH, "height": int(box["y"] + box["height"])}
    return bytes(page.screenshot(full_page=True, clip=clip))


def write_small(png: bytes, path: Path) -> int:
    """Writes the picture with a palette of 128 colours; returns its size in bytes."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    if size > LARGEST:
        raise RuntimeError(f"{path} has {size} bytes, more than {LARGEST}")
    return size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
