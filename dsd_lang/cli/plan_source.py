"""Compiles the schedule given to `dsd-plan` with its flags, and keeps the inputs of the compilation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.records import record
from dsd_lang.base.regular_files import read_regular
from dsd_lang.base.source import is_saved_plan
from dsd_lang.cli.flags import Given
from dsd_lang.cli.installed import model_layers, model_preset

if TYPE_CHECKING:
    from dsd_lang.analysis import ResolvedProgram
    from dsd_lang.base.diagnostics import Diagnostic
    from dsd_lang.base.layers import LayerInfo
    from dsd_lang.plan import Plan
    from dsd_lang.syntax.nodes import Program


class Circumstances(NamedTuple):
    """Everything besides the text that a schedule is compiled with: flags, preset, a model's layers.

    Without a preset (None) it is the model's. ``scale`` multiplies every length, as in the run of `--out`.
    """

    flags: Mapping[str, str]
    preset: Mapping[str, str] | None
    layers: tuple[LayerInfo, ...] | None
    scale: str = "1"


@record
class Compiled:
    """A plan and its origin; a saved plan (`plan.json`) has no program."""

    plan: Plan
    text: str
    program: Program | None
    resolved: ResolvedProgram | None
    circumstances: Circumstances


def circumstances_of(given: Given) -> Circumstances:
    """The circumstances given by the command line."""
    flags = overrides_of(given.values.get("--set", []))
    model, layers_file, out = (given.last(name) for name in ("--model", "--layers", "--out"))
    if model is not None and layers_file is not None:
        raise DsdError("`--layers` and `--model` cannot be used together: both give the model's layers")
    preset: Mapping[str, str] | None = None
    scale = "1"
    if out is not None:
        kept_flags, preset = settings_of_run(Path(out))
        flags = {**kept_flags, **flags}
        scale = scale_of_run(Path(out))
    layers: tuple[LayerInfo, ...] | None = None
    if model is not None:
        flags["model"] = model
        preset = preset if preset is not None else model_preset(model)
        layers = _known_layers(model)
    elif layers_file is not None:
        from dsd_lang.base.layers_file import read_layers

        layers = read_layers(layers_file)
    return Circumstances(flags, preset, layers, scale)


def compiled(text: str, name: str, circumstances: Circumstances) -> Compiled | tuple[Diagnostic, ...]:
    """The plan, or the errors of the schedule; for the text of a saved plan, that plan."""
    from dsd_lang.analysis import analyse
    from dsd_lang.compiler import plan_of
    from dsd_lang.plan.scaling import scaled_plan

    if is_saved_plan(text):
        return _saved(text, name, circumstances)
    flags, preset, layers, scale = circumstances
    analysis = analyse(text, layers=layers, source=name, overrides=flags, defaults=preset)
    if preset is None and analysis.resolved is not None and "model" in analysis.resolved.settings:
        preset = model_preset(analysis.resolved.settings["model"].shown)
        analysis = analyse(text, layers=layers, source=name, overrides=flags, defaults=preset)
    if analysis.errors or analysis.resolved is None:
        return analysis.errors
    plan = scaled_plan(plan_of(analysis.resolved, source=name), scale)
    return Compiled(plan, text, analysis.program, analysis.resolved, Circumstances(flags, preset, layers, scale))


def _saved(text: str, name: str, circumstances: Circumstances) -> Compiled:
    """A saved plan, unchanged: it already contains settings and lengths."""
    from dsd_lang.plan import Plan

    try:
        plan = Plan.from_json(text).model_copy(update={"source": name})
    except DsdError as error:
        raise DsdError(f"`{name}`: {error.message}", help=error.help) from error
    return Compiled(plan, text, None, None, circumstances)


def _known_layers(model: str) -> tuple[LayerInfo, ...] | None:
    """A model's layers; None (and a note on stderr) if they are known only after the model is built."""
    try:
        return model_layers(model)
    except DsdError as error:
        sys.stderr.write(f"dsd-plan: note: {error.message}; the selectors are not checked\n")
        return None


def overrides_of(items: Sequence[str]) -> dict[str, str]:
    """`--set lr=0.1` flags as a mapping; the last value of a key is used."""
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise DsdError(f"`--set {item}` is not KEY=VALUE", help="write it as `--set lr=0.1`")
        found[key.strip()] = value
    return found


def scale_of_run(folder: Path) -> str:
    """The `--scale` that a run folder was trained with, from its manifest; `1` if there is none."""
    import json

    try:
        manifest = json.loads(read_regular(folder / "manifest.json").decode("utf-8"))
    except FileNotFoundError:
        return "1"
    except (OSError, ValueError, RecursionError) as error:
        raise DsdError(f"`{folder / 'manifest.json'}` cannot be read: {error}") from error
    return str(manifest.get("scale", "1")) if isinstance(manifest, dict) else "1"


def settings_of_run(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The flags and the preset with which the plan of a run folder was compiled."""
    from dsd_lang.plan import Plan
    from dsd_lang.plan.setting_text import setting_text

    try:
        saved = Plan.from_json(read_regular(folder / "plan.json").decode("utf-8"))
    except FileNotFoundError as error:
        raise DsdError(
            f"`{folder}` is not a run folder: it has no plan.json", help="give a folder written by `dsd-run`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DsdError(f"`{folder / 'plan.json'}` cannot be read: {error}") from error
    texts = {name: setting_text(value) for name, value in saved.settings.items()}
    flags = {name: text for name, text in texts.items() if saved.settings_from.get(name) == "flag"}
    flags |= saved.overrides
    preset = {name: text for name, text in texts.items() if saved.settings_from.get(name) == "preset"}
    return flags, preset
