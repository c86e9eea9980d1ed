"""Builds the charts' script (Vega, Vega-Lite, Vega-Embed) that reports contain, and the file with its licences.

Needs vl-convert for the script (`pip install vl-convert-python`), and npm for the licences:

    python tools/build_charts.py
"""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "runtime" / "dsd_runtime" / "results" / "templates"
PACKAGES = ("vega@6", "vega-lite@6", "vega-embed@7")


def main() -> None:
    """Writes both files."""
    import vl_convert  # type: ignore[import-not-found,import-untyped,unused-ignore]

    script = str(vl_convert.javascript_bundle())
    write_script(FOLDER / "charts.js.gz", script)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "install", "--ignore-scripts", "--prefix", folder, *PACKAGES], check=True)
        text = "\n".join(licences(Path(folder) / "node_modules"))
    head = f"`charts.js.gz` is the script that vl-convert {vl_convert.__version__} bundles from these packages.\n\n"
    (FOLDER / "charts.licences.txt").write_text(head + text, encoding="utf-8")


def write_script(path: Path, script: str) -> None:
    """Packs the script, if it is not the one that is there: every zlib packs it differently."""
    if gzip.decompress(path.read_bytes()).decode("utf-8") == script:
        print(f"{path.name} is up to date")
        return
    path.write_bytes(gzip.compress(script.encode("utf-8"), mtime=0))


def licences(modules: Path) -> Iterator[str]:
    """The name and the licence of every package, each text once."""
    packages: dict[str, list[str]] = {}
    for file in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        described = json.loads(file.read_text(encoding="utf-8"))
        found = sorted(path for path in file.parent.iterdir() if path.name.lower().startswith(("license", "licence")))
        text = found[0].read_text(encoding="utf-8").strip() if found else f"licence: {described.get('license')}"
        packages.setdefault(text, []).append(f"{described['name']} {described['version']}")
    for text, names in packages.items():
        yield f"{'=' * 80}\n{', '.join(names)}\n{'-' * 80}\n{text}\n"


if __name__ == "__main__":
    main()
