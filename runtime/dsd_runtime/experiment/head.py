"""What `dsd-run` prints before training: model, data, training settings, phases, estimated time and disk."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from dsd_lang.base.units import exact
from dsd_lang.plan import Function
from dsd_lang.plan.setting_text import setting_text
from dsd_lang.views.attributes import function_text
from dsd_lang.views.table import start_text
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.survey import Survey


def print_head(prepared: Prepared, folder: RunFolder, found: Survey, lines: Sequence[str]) -> None:
    """Prints the head, on stderr if stdout is for JSON."""
    stream = sys.stderr if prepared.request.as_json else sys.stdout
    print(head_text(prepared, folder, found), *lines, "", sep="\n", file=stream, flush=True)


def head_text(prepared: Prepared, folder: RunFolder, found: Survey) -> str:
    """Four lines, one more for label noise, and an empty one."""
    sizes = ", ".join(f"{count} {split}" for split, count in prepared.data.sizes.items())
    threads = str(found.threads)
    where = (
        str(folder.root),
        prepared.precision.device.type + (f" ({threads})" if threads else ""),
        prepared.precision.name,
        f"seed {prepared.seed}",
        *([f"every length x {prepared.request.scale}"] if prepared.request.scale != "1" else []),
    )
    return (
        f"model   {prepared.model_name}, {found.num_parameters:,} parameters\n"
        f"data    {prepared.data_spec} ({sizes})\n"
        f"{_noise_line(prepared)}"
        f"train   {training_text(prepared)}\n"
        f"run     {', '.join(where)}\n"
    )


def _noise_line(prepared: Prepared) -> str:
    if prepared.noise is None:
        return ""
    facts = prepared.noise.facts()
    return f"noise   {facts['noise']}: {facts['changed_labels']} of {facts['train_labels']} training labels changed\n"


def training_text(prepared: Prepared) -> str:
    """Optimizer, first rate, decay, batch and other values that are not at their default, in order of the phases."""
    phases = prepared.plan.phases
    values: dict[str, Iterable[str]] = {
        "": _texts(phase.opt for phase in phases),
        "lr ": (start_text(phases[0].lr),),
        "decay ": (setting_text(phase.lr.decay.model_dump()) for phase in phases),
        "batch ": (str(prepared.batch_size(phase.batch)) for phase in phases),
        "wd ": (phase.wd for phase in phases if phase.wd not in (None, "0")),
        "clip ": _texts(phase.clip for phase in phases),
    }
    told = {name: list(dict.fromkeys(found)) for name, found in values.items()}
    return ", ".join(name + " then ".join(found) for name, found in told.items() if found)


def _texts(choices: Iterable[Function | None]) -> Iterator[str]:
    return (function_text(choice) for choice in choices if choice is not None)


def hyper_parameters(prepared: Prepared, plan_hash: str) -> dict[str, str | float]:
    """The hyper-parameters for TensorBoard's comparison of runs: numbers as numbers, anything else as text."""
    first = prepared.plan.phases[0]
    named = {
        "model": prepared.model_name,
        "data": prepared.data_spec,
        "optimizer": function_text(first.opt) if first.opt is not None else "",
        "decay": setting_text(first.lr.decay.model_dump()),
        "precision": prepared.precision.name,
        "scale": prepared.request.scale,
        "plan": plan_hash[:15],
    }
    assert first.wd is not None  # every preset has one
    if prepared.noise is not None:
        named["noise"] = prepared.noise.text
    rate = {} if first.lr.start is None else {"lr": float(exact(first.lr.start))}
    return {
        **named,
        **rate,
        "weight_decay": float(exact(first.wd)),
        "batch": float(prepared.batch_size(first.batch)),
        "seed": float(prepared.seed),
    }
