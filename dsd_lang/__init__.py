"""A language for training schedules: when a network is dense, when it is sparse, where, and at which learning rate.

>>> import dsd_lang
>>> plan = dsd_lang.compile("dense 50ep lr=8e-4; sparse 50% 50ep; dense")
>>> [phase.lr.start for phase in plan.phases]
['8e-4', '8e-4', '8e-5']
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = [
    "DsdError",
    "PhaseGraph",
    "Plan",
    "ScheduleError",
    "__version__",
    "analyse",
    "compile",
    "compile_file",
    "parse",
]

_HOMES = {
    "compile": "dsd_lang.compiler",
    "compile_file": "dsd_lang.compiler",
    "ScheduleError": "dsd_lang.compiler",
    "analyse": "dsd_lang.analysis",
    "parse": "dsd_lang.syntax.parser",
    "Plan": "dsd_lang.plan",
    "PhaseGraph": "dsd_lang.views.graph",
    "DsdError": "dsd_lang.base.errors",
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.analysis import analyse
    from dsd_lang.base.errors import DsdError
    from dsd_lang.compiler import ScheduleError, compile, compile_file
    from dsd_lang.plan import Plan
    from dsd_lang.syntax.parser import parse
    from dsd_lang.views.graph import PhaseGraph


def __getattr__(name: str) -> object:
    """Imports public names on first use, so that the linter starts without loading pydantic or networkx."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `dsd_lang` has no attribute `{name}`")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
