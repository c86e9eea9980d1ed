"""Asks installed packages, by entry points, for a model's layers, its preset and the progress of a run.

The language never imports the runtime. It calls whatever is installed under an entry point group.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo

if TYPE_CHECKING:
    from dsd_lang.plan import Plan
    from dsd_lang.views.diff.run_effect import NodeState

_INSTALL = "install `dsd-lang[run]`"


def model_layers(name: str) -> tuple[LayerInfo, ...]:
    """The layers of a model by name (group `dsd.inventories`)."""
    nobody = DsdError(
        f"no installed package knows the layers of the model `{name}`",
        help=f"{_INSTALL}, or give the layers with `dsd-lint --layers FILE.json`",
    )
    layers: tuple[LayerInfo, ...] = _first_answer("dsd.inventories", nobody, name)
    return layers


def model_preset(name: str) -> Mapping[str, str]:
    """The settings of a model's preset, under the names that `set` uses."""
    nobody = DsdError(f"no installed package knows the preset of the model `{name}`", help=_INSTALL)
    preset: Mapping[str, str] = _first_answer("dsd.presets", nobody, name)
    return preset


def model_cards() -> dict[str, Mapping[str, str]]:
    """All models known by name (group `dsd.models`): `summary`, `task` and default `data`."""
    from importlib.metadata import entry_points

    found: dict[str, Mapping[str, str]] = {}
    for entry in entry_points(group="dsd.models"):
        found |= entry.load()()
    return found


def node_states(plan: Plan, folder: Path) -> dict[str, NodeState]:
    """The state and the content key of every phase in a run folder (group `dsd.run_progress`)."""
    from dsd_lang.views.diff.run_effect import NodeState

    nobody = DsdError("no installed package can read run folders", help=_INSTALL)
    answer = _first_answer("dsd.run_progress", nobody, plan, folder)
    return {phase: NodeState(state, key) for phase, state, key in answer}


def _first_answer(group: str, nobody: DsdError, *question: object) -> Any:
    """The answer of the first entry point that has one; else the first error, or ``nobody`` without entry points."""
    from importlib.metadata import entry_points

    refusals: list[DsdError] = []
    for entry in entry_points(group=group):
        try:
            return entry.load()(*question)
        except DsdError as error:
            refusals.append(error)
        except ImportError as error:
            raise DsdError(f"cannot load `{entry.value}`: {error}", help=_INSTALL) from error
    raise refusals[0] if refusals else nobody
