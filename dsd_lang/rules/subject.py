"""The input of a rule: the tree, the resolved phases if there are any, and the collector of diagnostics."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.collected_diagnostics import Diagnostics
    from dsd_lang.passes.draft import Draftbook
    from dsd_lang.plan.shapes import ComparisonData, ExpectationData


class Subject(NamedTuple):
    """``statements`` are those of the program and of all its blocks, in source order.

    ``book`` is None if the program could not be resolved; ``layers`` is the model's inventory if one is given.
    ``names`` are those that the program gives values; if it ``uses_files``, there may be more.
    """

    program: nodes.Program
    statements: Sequence[nodes.Statement]
    diagnostics: Diagnostics
    book: Draftbook | None = None
    comparisons: Sequence[tuple[ComparisonData, nodes.Compare]] = ()
    expectations: Sequence[tuple[ExpectationData, nodes.Expect]] = ()
    layers: Sequence[LayerInfo] | None = None
    text: str = ""
    names: frozenset[str] = frozenset()
    uses_files: bool = False
