"""The first pass: collects every label, to distinguish a label used too early from an unknown one."""

from __future__ import annotations

from dsd_lang.passes.compilation import Compilation
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import statements


def collect_names(compilation: Compilation) -> None:
    """Fills in ``names``: the labels of phases and branches."""
    names: set[str] = set()
    for statement, _ in statements(compilation.program.statements):
        if isinstance(statement, nodes.Phase) and statement.label is not None:
            names.add(statement.label.name)
        elif isinstance(statement, nodes.Fork):
            names.update(branch.label.name for branch in statement.branches if branch.label is not None)
    compilation.names = frozenset(names)
