"""Which phases of a plan a run folder has already trained, for `dsd-plan FILE --out RUN`. No torch."""

from __future__ import annotations

from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import RunSettings, node_keys


def describe_run(plan: Plan, run_folder: Path) -> list[tuple[str, str, str]]:
    """Each phase's id, state in that folder and node key, with the settings of the folder's last run.

    The plan's lengths must be those of the run, multiplied by its `--scale` (``scale`` in its manifest).
    """
    folder = RunFolder(Path(run_folder))
    manifest = folder.read_manifest()
    if manifest is None:
        raise DsdError(
            f"`{run_folder}` is not a run folder: it has no manifest.json", help="give a folder written by `dsd-run`"
        )
    setting = RunSettings.of_manifest(manifest)
    keys = node_keys(plan, setting)
    return [(phase.id, folder.state(keys[phase.id], phase.path), keys[phase.id]) for phase in plan.phases]
