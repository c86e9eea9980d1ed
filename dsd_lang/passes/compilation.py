"""The state that the passes work on: a program, external inputs, and the results of each pass.

A pass is a function of one :class:`Compilation`. It reads the results of earlier passes and fills in those that its
docstring names. Reading a result that no pass has filled in yet raises ``AttributeError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dsd_lang.base.files import read_schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.collected_diagnostics import Diagnostics
    from dsd_lang.passes.draft import Draftbook
    from dsd_lang.passes.outline import Group
    from dsd_lang.passes.read_settings import Settings
    from dsd_lang.passes.scopes import Scope
    from dsd_lang.plan.shapes import CheckpointData, ComparisonData, ExpectationData
    from dsd_lang.syntax import nodes
    from dsd_lang.syntax.notes import Notes


class Compilation:
    """One program during compilation.

    Inputs: ``program`` and its ``text``, ``source`` (its path, if it has one) and ``read`` (for the files it uses),
    ``overrides`` (`--set` flags), ``defaults`` (the model's preset), ``notes`` (of an editor's text), and
    ``diagnostics``, which collects the diagnostics of all passes. Results of the passes, in order: ``names`` (every
    label), ``used`` and ``used_texts`` (what `use` brings), ``settings``, ``is_too_large`` (then no other pass runs),
    ``outline``, ``book`` (the phases), ``checkpoints``, ``comparisons`` and ``expectations``.
    """

    __slots__ = (
        "book",
        "checkpoints",
        "comparisons",
        "defaults",
        "diagnostics",
        "expectations",
        "is_too_large",
        "names",
        "notes",
        "outline",
        "overrides",
        "program",
        "read",
        "settings",
        "source",
        "text",
        "used",
        "used_texts",
    )

    names: frozenset[str]
    used: dict[int, Scope]
    used_texts: dict[str, str]
    settings: Settings
    outline: Group
    book: Draftbook
    checkpoints: tuple[CheckpointData, ...]
    comparisons: Sequence[tuple[ComparisonData, nodes.Compare]]
    expectations: Sequence[tuple[ExpectationData, nodes.Expect]]

    def __init__(
        self,
        program: nodes.Program,
        text: str,
        diagnostics: Diagnostics,
        *,
        source: str | None = None,
        read: Callable[[str], str] = read_schedule,
        overrides: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.program = program
        self.text = text
        self.diagnostics = diagnostics
        self.source = source
        self.read = read
        self.overrides = overrides
        self.defaults = defaults
        self.notes = notes
        self.is_too_large = False


Pass = Callable[[Compilation], None]
