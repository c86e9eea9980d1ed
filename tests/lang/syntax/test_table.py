"""The shipped table is the grammar's, and the linter starts without what it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dsd_lang.syntax.build_table import GRAMMAR, TABLE, build, table_text

HEAVY = (
    "lark", "pydantic", "networkx", "torch", "numpy", "rich", "typer", "click", "pygls", "dataclasses", "argparse",
    "inspect", "pathlib", "importlib.metadata", "dsd_runtime", "typing",
)  # fmt: skip


def test_the_table_is_fresh() -> None:
    assert TABLE.read_text(encoding="utf-8") == table_text(build(GRAMMAR.read_text(encoding="utf-8"))), (
        "run `python -m dsd_lang.syntax.build_table`"
    )


def test_every_rule_has_a_builder() -> None:
    from dsd_lang.syntax.table import load_table
    from dsd_lang.syntax.tree import TreeBuilder

    wanted = {rule.builds for rule in load_table().rules} - {"", "[]"}
    assert wanted == set(TreeBuilder().builders)


def test_linting_imports_nothing_heavy(tmp_path: Path) -> None:
    """Beyond what the bare interpreter has loaded: an editable installation makes `site` import pathlib."""
    schedule = tmp_path / "four.dsd"
    schedule.write_text("dense 50ep lr=8e-4\nsparse 0.5 layers=fc,birnn 50ep\ndense lr=3e-4\nrepeat sparse 0.25\n")
    code = (
        "import sys; before = {*sys.modules}; from dsd_lang.cli.lint import main; status = main(sys.argv[1:]);"
        f"print(status, [name for name in {HEAVY!r} if name in {{*sys.modules}} - before])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(schedule)], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "0 []", run.stdout
