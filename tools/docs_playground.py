"""MkDocs hook that builds the playground when `DSD_PLAYGROUND=1` is set.

Without the variable the site is built without network, and the playground's page says that it was not built.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError


def on_post_build(config: MkDocsConfig) -> None:
    """Runs `tools/build_playground.py` on the site; stops the build if that fails, because it was requested."""
    if os.environ.get("DSD_PLAYGROUND") != "1":
        return
    tool = Path(__file__).with_name("build_playground.py")
    done = subprocess.run(
        [sys.executable, str(tool), "--site", config.site_dir], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PluginError(done.stderr.strip())
