"""A built site with the playground, served below a sub-path, and a browser that can reach nothing else."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PREFIX = "docs/en"
_CONFIGURATION = """\
site_name: dsd
docs_dir: pages
site_dir: www/{prefix}
theme:
  name: material
  font: false
  palette:
    - scheme: default
      toggle: {{icon: material/weather-night, name: Dark}}
    - scheme: slate
      toggle: {{icon: material/weather-sunny, name: Light}}
"""


def browser_path() -> str | None:
    """The system's Chromium."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def build_pages(folder: Path) -> Path:
    """A site of the playground's page alone, without the playground's files; returns it."""
    (folder / "pages" / "playground").mkdir(parents=True)
    shutil.copy(REPOSITORY / "docs" / "playground" / "index.md", folder / "pages" / "playground")
    (folder / "pages" / "index.md").write_text("# dsd\n", encoding="utf-8")
    (folder / "mkdocs.yml").write_text(_CONFIGURATION.format(prefix=PREFIX), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"], cwd=folder, check=True, capture_output=True
    )
    return folder / "www" / PREFIX


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Requests are the browser's to tell."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that is closed hangs up in the middle of a file; everything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of a folder's server."""
    handler = functools.partial(_Quiet, directory=str(root))
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{PREFIX}/playground/"
        server.shutdown()


class Watched:
    """A page with all that went wrong on it: console errors, exceptions, requests to other hosts."""

    def __init__(self, context: Any, address: str) -> None:
        self.troubles: list[str] = []
        self.page = context.new_page()
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(f"exception: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self._host = address.split("/")[2]

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.troubles.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and url.split("/")[2] != self._host:
            self.troubles.append(f"request to {url}")
