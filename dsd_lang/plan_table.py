"""Plan in, the resolved table out: one row a phase, derived values marked with `*` and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dsd_lang.plan import Condition, Function, LearningRate, Phase, Plan, ReferenceInfo, Target
from dsd_lang.setting_text import setting_text
from dsd_lang.units import exact, format_exact, format_percent

MARK = "*"


def table_rows(plan: Plan, *, states: Mapping[str, str] | None = None) -> tuple[list[str], list[list[str]]]:
    """Headers and cells; columns that say nothing (branch, label, state, more) are left out.

    What the settings say for every phase is not said again beside each: `dsd-plan` prints them below.
    """
    settings = {name: setting_text(value) for name, value in plan.settings.items()}
    rows = [_cells(index, phase, settings, states or {}) for index, phase in enumerate(plan.phases)]
    headers = ["#", "branch", "label", "mode", "pruned", "layers", "length", "start lr", "more", "state", "why"]
    optional = {"branch", "label", "more", "state"}
    shown = [column for column, name in enumerate(headers) if name not in optional or any(row[column] for row in rows)]
    return [headers[column] for column in shown], [[row[column] for column in shown] for row in rows]


def aligned(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: columns padded, a rule under the heads."""
    widths = [max(len(row[column]) for row in (headers, *rows)) for column in range(len(headers))]
    lines = [headers, ["-" * width for width in widths], *rows]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded) + "\n"


def _cells(index: int, phase: Phase, settings: Mapping[str, str], states: Mapping[str, str]) -> list[str]:
    def marked(text: str, name: str) -> str:
        return text + MARK if name in phase.derived else text

    layers = marked(layers_text(phase), "layers") if phase.mode == "sparse" else "-"
    length = f"{'<=' if phase.until is not None or phase.cycles else ''}{phase.duration.length}"
    return [
        str(index),
        phase.path,
        phase.label or "",
        phase.mode,
        marked(target_text(phase.target), "target"),
        layers,
        marked(length, "duration"),
        marked(rate_text(phase.lr), "lr"),
        more_text(phase, settings),
        states.get(phase.id, ""),
        phase.why,
    ]


def target_text(target: Target | None) -> str:
    """`50%`, `20% of remaining`, `2:4`, `0% -> 90% cubic`, `held`, `[fc: 50%, conv: 30%]`; `0` for dense."""
    if target is None:
        return "0"
    if target.kind == "nm":
        return f"{target.n}:{target.m}"
    if target.kind == "held":
        return "held"
    if target.kind == "list":
        return "[" + ", ".join(f"{item.selector}: {target_text(item.target)}" for item in target.items) + "]"
    if target.kind == "ramp":
        start, end = (percent(text or "0") for text in (target.start, target.end))
        every = f" every {target.every.length}" if target.every is not None else ""
        return f"{start} -> {end} {target.shape}{every}"
    share = percent(target.pruned or "0")
    return f"{share} of remaining" if target.kind == "remaining" else share


def percent(text: str) -> str:
    """A ratio as a percentage, rounded to four places where its decimals do not end soon."""
    value = exact(text)
    written = format_percent(value)
    return written if len(written) <= 10 else format_percent(round(value, 6))


def layers_text(phase: Phase) -> str:
    """`fc, birnn except embed`."""
    excluded = f" except {', '.join(phase.except_)}" if phase.except_ else ""
    return ", ".join(phase.layers) + excluded


def rate_text(lr: LearningRate) -> str:
    """`8e-4`, `0.1 x optimizer's`, `0.5 x last of p3`, with the shape where there is one."""
    shape = "" if lr.decay.kind == "constant" else f" {lr.decay.kind}"
    if lr.start is not None:
        value = exact(lr.start)
        written = lr.start if len(lr.start) <= 12 else f"{float(value):.6g}"
        return written + shape
    scale = "" if lr.scale in (None, "1") else f"{lr.scale} x "
    return f"{scale}{'optimizer' if lr.of == 'optimizer' else f'last of {lr.phase}'}{shape}"


def more_text(phase: Phase, settings: Mapping[str, str]) -> str:
    """Every other argument that is neither at its default nor what the ``settings`` (as text) say for every phase."""
    words: list[str] = []
    if phase.lr.warmup is not None:
        words.append(f"warmup={phase.lr.warmup.length}")
    functions = (("by", phase.by, "magnitude"), ("unit", phase.unit, "weight"), ("enforce", phase.enforce, "hard"))
    words += [f"{name}={function_text(value)}" for name, value, default in functions if function_text(value) != default]
    plain = (
        ("scope", phase.scope, "layer"),
        ("alloc", phase.alloc, "uniform"),
        ("min", phase.minimum, 1),
        ("others", phase.others, "none"),
        ("state", phase.state, "zero"),
    )
    words += [f"{name}={value}" for name, value, default in plain if value != default]
    sources = (("restore", phase.restore, "zero"), ("from", phase.from_, "last"), ("clock", phase.clock, "phase"))
    for name, source, default in sources:
        if source.kind != default:
            words.append(f"{name}={source.kind if source.reference is None else reference_text(source.reference)}")
    for name, function in (("opt", phase.opt), ("clip", phase.clip), ("update", phase.update)):
        if function is not None and function_text(function) != settings.get(name):
            words.append(f"{name}={function_text(function)}")
    for name, value in (("wd", phase.wd), ("l1", phase.l1), ("batch", phase.batch), ("dropout", phase.dropout)):
        if value is not None and str(value) != settings.get(name):
            words.append(f"{name}={value}")
    if phase.distill is not None:
        words.append(f"distill={reference_text(phase.distill.teacher)}")
    if phase.calibrate is not None:
        words.append(f"calibrate={phase.calibrate.length}")
    if phase.until is not None:
        words.append(f"until {condition_text(phase.until)}")
    words += [f"(round {cycle.index} until {condition_text(cycle.until)})" for cycle in phase.cycles]
    return " ".join(words)


def function_text(function: Function) -> str:
    """`magnitude(order=largest)`."""
    return setting_text({"name": function.name, "arguments": function.arguments})


def reference_text(reference: ReferenceInfo) -> str:
    """`@p0.500it`, `@init`, `"weights.safetensors"`."""
    if reference.moment == "file":
        return f'"{reference.file}"'
    if reference.moment == "init":
        return "@init"
    moment = str(reference.offset.length) if reference.offset is not None else reference.moment
    return f"@{reference.phase}.{moment}"


def condition_text(condition: Condition) -> str:
    """A condition as it would be written."""
    parts = [condition_text(part) for part in condition.args]
    if condition.kind in ("compare", "arithmetic"):
        return f"{parts[0]} {condition.op} {parts[1]}"
    if condition.kind in ("and", "or"):
        nested = (
            f"({text})" if part.kind in ("and", "or") else text
            for part, text in zip(condition.args, parts, strict=True)
        )
        return f" {condition.kind} ".join(nested)
    if condition.kind == "not":
        return f"not ({parts[0]})"
    if condition.kind == "call":
        options = [f"{name}={value}" for name, value in condition.options.items()]
        return f"{condition.name}({', '.join((*parts, *options))})"
    if condition.kind == "number":
        value = exact(condition.value or "0")
        return format_percent(value) if condition.percent else format_exact(value)
    return condition.name or ""
