"""Compares the earlier run in a folder with the one about to start: continue, refuse, or move parts aside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan, meaning
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import RunSettings
from dsd_runtime.experiment.longer import Shorter
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.storage.durable import number_of, remove
from dsd_runtime.tracking.console import phase_name
from dsd_runtime.tracking.tensorboard import forget_after, line_folder


def earlier_threads(folder: RunFolder) -> int | None:
    """The number of threads of the folder's last run, which this one keeps."""
    manifest = folder.read_manifest()
    found = manifest.get("setting", {}).get("threads") if manifest is not None else None
    return found if isinstance(found, int) and found >= 1 else None


def compare_with_earlier(
    prepared: Prepared, folder: RunFolder, keys: Mapping[str, str], shorter: Mapping[str, Shorter]
) -> list[str]:
    """What changed since the folder's last run, in lines; ``shorter`` has the nodes from which longer ones continue.

    Raises :class:`DsdError` if trained phases would no longer be used, with `--resume` or another schedule.
    """
    manifest, mode = folder.read_manifest(), prepared.request.mode
    before = folder.read_plan()
    if mode == "fresh":
        return []
    if manifest is None or before is None:
        if mode == "resume":
            raise DsdError(f"`{folder.root}` has no run to resume", help="leave out `--resume` to start a run")
        return []
    earlier = dict.fromkeys(manifest.get("nodes", {}).values())
    used = {*keys.values(), *(form.key for form in shorter.values())}
    lost = [key for key in earlier if folder.state(key) != "to train" and key not in used]
    if not lost:
        return []
    own, other = prepared.request.schedule.name, manifest.get("schedule")
    if other not in (None, own):
        raise DsdError(
            f"`{folder.root}` holds a run of `{other}`, and this is `{own}`",
            help="choose another `--out`, or replace its contents with `--fresh`",
        )
    text = _first_difference(prepared, before, manifest)
    if mode == "resume":
        raise DsdError(
            text, help="undo the change, or leave out `--resume`: only the affected phases are trained again"
        )
    phases = f"{len(lost)} trained phase{'s' if len(lost) > 1 else ''} of the earlier run"
    return [f"{text}; {phases} will not be used, and come{'' if len(lost) > 1 else 's'} back with that edit undone"]


def put_aside(prepared: Prepared, folder: RunFolder, keys: Mapping[str, str], grown: Mapping[str, str]) -> None:
    """Removes last weights and cuts curves that no longer belong to the plan.

    ``grown`` are the keys of phases that have become longer, by the key of the shorter version.
    """
    manifest, before = folder.read_manifest(), folder.read_plan()
    if manifest is None or manifest.get("nodes") == dict(keys):
        return
    folder.remove_line_ends()
    if before is not None:
        earlier = {phase: grown.get(key, key) for phase, key in manifest.get("nodes", {}).items()}
        _cut_curves(prepared.plan, before, folder, keys, earlier)


def _cut_curves(
    now: Plan, before: Plan, folder: RunFolder, keys: Mapping[str, str], earlier: Mapping[str, str]
) -> None:
    """Cuts the curves of each line where the trained part ends; those of removed branches are deleted."""
    lines = {phase.path for phase in now.phases}
    for path in {phase.path for phase in before.phases}:
        if path not in lines:
            remove(line_folder(folder.events, path))
            continue
        old = [earlier.get(phase.id, "") for phase in before.branch(path).phases]
        new = [keys[phase.id] for phase in now.branch(path).phases]
        shared = 0
        while shared < min(len(old), len(new)) and old[shared] == new[shared]:
            shared += 1
        is_done = all(folder.state(key) in ("trained", "skipped") for key in new)  # otherwise the line's writer does it
        if shared < len(old) and is_done:
            ends = [folder.latest(key, "end") for key in new[:shared]]
            forget_after(line_folder(folder.events, path), sum(number_of(end) for end in ends if end is not None))


def _first_difference(prepared: Prepared, before: Plan, manifest: Mapping[str, Any]) -> str:
    earlier = dataclasses.asdict(RunSettings.of_manifest(manifest))
    for name, value in dataclasses.asdict(prepared.setting).items():
        if earlier[name] != value:
            return f"`{name}` was {earlier[name]} in this folder's run and is {value} now"
    now = prepared.plan
    indexes = [{phase.id: index for index, phase in enumerate(plan.phases)} for plan in (before, now)]
    for old, new in zip(before.phases, now.phases, strict=False):
        then, today = meaning(old, indexes[0]), meaning(new, indexes[1])
        for key in sorted(set(then) | set(today)):
            if then.get(key) != today.get(key):
                return f"phase `{phase_name(new)}` had {_said(key, then)} and now has {_said(key, today)}"
    if len(before.phases) != len(now.phases):
        return f"the schedule had {len(before.phases)} phases and now has {len(now.phases)}"
    return "something that the schedule refers to (a file, another phase) has changed"


def _said(key: str, phase: Mapping[str, Any]) -> str:
    value = phase.get(key)
    if isinstance(value, dict) and set(value) == {"unit", "value"}:
        return f"`{key}` {value['value']}{value['unit']}"
    return f"`{key}` = {value}" if value is not None else f"no `{key}`"
