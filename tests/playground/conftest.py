"""The playground's own Python where tests can import it: the page's modules and the tools that build it."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
for folder in (REPOSITORY / "docs" / "playground" / "app", REPOSITORY / "tools"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
