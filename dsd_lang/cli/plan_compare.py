"""`dsd-plan FILE --diff OTHER` shows what changes between two schedules. Exit 0 equal, 1 different, 2 failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError
from dsd_lang.base.source import decode_text
from dsd_lang.cli.flags import Given
from dsd_lang.cli.installed import node_states
from dsd_lang.cli.options import read_source
from dsd_lang.cli.plan_page import Page
from dsd_lang.cli.revision import file_in_revision

if TYPE_CHECKING:
    from dsd_lang.base.diagnostics import Diagnostic
    from dsd_lang.cli.plan_source import Compiled
    from dsd_lang.plan.cost import Densities


def read_other(path: str, other: str) -> tuple[str, str, list[Diagnostic]]:
    """The older schedule's name, text and invalid bytes: the file of that path, else this file at that revision.

    For a run folder it is the plan that was trained.
    """
    if (Path(other) / "plan.json").is_file():
        other = str(Path(other) / "plan.json")
    if Path(other).exists():
        text, unreadable = read_source(other)
        return other, text, unreadable
    if path == "-":
        raise DsdError(
            f"there is no file `{other}`, and stdin has no revisions",
            help="give the schedule by its path, or compare stdin with a file",
        )
    text, unreadable = decode_text(file_in_revision(Path(path), other))
    return f"{other}:{path}", text, unreadable


def compared(old: Compiled, new: Compiled, given: Given, page: Page) -> tuple[str, bool]:
    """The output of `--diff`, and whether the two plans are the same."""
    from dsd_lang.views.diff import diff_plans
    from dsd_lang.views.diff.run_effect import run_effect
    from dsd_lang.views.diff.text import DiffText, diff_data
    from dsd_lang.views.diff.totals import totals

    diff = diff_plans(old.plan, new.plan)
    sums = totals(old.plan, new.plan, (_densities(old), _densities(new)))
    out = given.last("--out")
    effect = None
    if out is not None:
        effect = run_effect(old.plan, new.plan, node_states(old.plan, Path(out)), node_states(new.plan, Path(out)))
    if given.has("--json"):
        data = diff_data(diff, sums, effect, out or "")
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n", diff.is_same
    writing = DiffText(width=page.width, is_coloured=page.is_coloured, is_whole=page.is_whole)
    return writing.text(diff, sums, effect, out or ""), diff.is_same


def _densities(compiled: Compiled) -> Densities | None:
    from dsd_lang.plan.layer_counts import count_weights, densities

    layers = compiled.circumstances.layers
    return None if layers is None else densities(compiled.plan, count_weights(compiled.plan, layers))
