"""The last phase keeps its masks.

What it does
------------
Reports a main line whose last phase is `sparse`. Branches of experiments may end sparse.

Why is this bad
---------------
Dense-sparse-dense training ends with a dense phase. With a sparse phase at the end, the network stays pruned.

Example
-------
::

    dense 50ep; sparse 50%

Use instead
-----------
::

    dense 50ep; sparse 50%; dense

Fix safety
----------
Unsafe: a `dense` phase is added, which makes training longer. If you want a sparse network, suppress the warning with
`# dsd: ignore[DSD303]`.
"""

from __future__ import annotations

import re

from dsd_lang.base.diagnostics import Edit, Fix
from dsd_lang.base.source import position_span
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD303"
_LINE = "[^\r\n]*"


def check(subject: Subject) -> None:
    """Checks the last phase of the main line, unless branches continue from it."""
    if subject.book is None:
        return
    main = [draft for draft in subject.book.phases if not draft.path]
    if not main or main[-1].mode != "sparse":
        return
    final = main[-1]
    if any(draft.parent is final for draft in subject.book.phases):
        return
    subject.diagnostics.add(
        CODE,
        "the schedule ends with a sparse phase, which leaves its masks on",
        final.node.mode_span,
        label="last phase",
        help="add a `dense` phase, or `# dsd: ignore[DSD303]` if you want a sparse network",
        fix=_with_dense_phase(subject, final),
    )


def _with_dense_phase(subject: Subject, final: Draft) -> Fix:
    """Adds a `dense` phase on the next line, or after the statement if more follows on its line."""
    start = final.node.span.start
    statement = next(item for item in subject.program.statements if item.span.start <= start < item.span.end)
    phase = "dense" if isinstance(statement, nodes.Phase) else f"dense {final.length}"  # not inherited out of a block
    rest = re.compile(_LINE).match(subject.text, statement.span.end)
    assert rest is not None
    if rest[0].strip() and not rest[0].strip().startswith("#"):
        return Fix(
            "add a `dense` phase", (Edit(position_span(subject.text, rest.start(), rest.start()), f"; {phase}"),)
        )
    return Fix("add a `dense` phase", (Edit(position_span(subject.text, rest.end(), rest.end()), f"\n{phase}"),))
