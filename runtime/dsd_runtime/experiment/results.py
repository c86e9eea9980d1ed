"""What `dsd-run` prints at the end: the table of phases, with seeds averaged, and the paths of the outputs."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dsd_lang.plan.seeds import arm_of, grouped_by_seed
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.runner import NodeResult
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.whole_run import Trained
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import spread
from dsd_runtime.tracking.console import phase_name, shown_metrics, table_within
from dsd_runtime.tracking.jsonl import finite_or_none

_WIDEST = 120
_MOST_VERDICT_LINES = 10
"""With an empty line and the path of the report the answer has 12."""


def print_results(prepared: Prepared, trained: Trained) -> None:
    """Prints the table, the verdicts and the paths, or one JSON object with `--json`."""
    folder, results, answer = trained.folder, trained.nodes, trained.results
    if prepared.request.as_json:
        phases = [
            {"id": result.phase.id, "path": result.phase.path, "label": result.phase.label, "node": result.key,
             "state": result.state, "metrics": finite_or_none(result.metrics)}
            for result in results
        ]  # fmt: skip
        print(json.dumps({"run": str(folder.root), "plan_hash": prepared.plan.hash, "phases": phases,
                          **_claims(answer)}))  # fmt: skip
        return
    scale = prepared.request.scale
    print("\nat the end of each phase" + (f" (every length x {scale})" if scale != "1" else ""))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDEST
    asked = [comparison.on for comparison in prepared.plan.comparisons]
    print(results_table(results, prepared.best_metric, width, asked), end="")
    has_report = folder.report.is_file()
    for line in verdict_lines(answer, width, rest="the report" if has_report else folder.results.name):
        print(line)
    if has_report:
        print(f"\nreport   {folder.report}")
    print(f"weights  {weights_text(folder, trained.weights)}")
    print(f"results  {folder.results}")
    print(f"numbers  {folder.metrics}")
    print(f"curves   tensorboard --logdir {folder.events}")


def verdict_lines(answer: Results, width: int, *, rest: str) -> list[str]:
    """The verdicts, an empty line before each; of many those that fit, failed ones first, and where the others are."""
    texts = [_wrapped(verdict, width) for verdict in answer.verdicts]
    apart = [line for text in texts for line in ("", *text)]
    if len(apart) <= _MOST_VERDICT_LINES:
        return apart
    failed = {item.verdict for item in answer.expectations if item.holds is False}
    lines = [""]
    ordered = sorted(answer.verdicts, key=lambda verdict: verdict not in failed)
    for shown, verdict in enumerate(ordered):
        text = _wrapped(verdict, width)
        is_last = shown == len(ordered) - 1
        if shown and len(lines) + len(text) + (not is_last) > _MOST_VERDICT_LINES:
            return [*lines, f"{len(ordered) - shown} more in {rest}"]
        lines += text
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _claims(answer: Results) -> dict[str, Any]:
    """What the schedule asked, answered, for `--json`."""
    return {
        "comparisons": [item.model_dump(mode="json") for item in answer.comparisons],
        "expectations": [item.model_dump(mode="json") for item in answer.expectations],
    }


def results_table(results: Sequence[NodeResult], best_metric: str, width: int, asked: Sequence[str] = ()) -> str:
    """One row per phase, with mean and deviation over its seeds; columns that do not fit are left out.

    The metrics that are ``asked`` for by a `compare` stay the longest.
    """
    groups = grouped_by_seed(results, lambda result: result.phase.path)
    names = list(dict.fromkeys(name for result in results for name in shown_metrics(result.metrics)))
    columns = [(name, [_cell(name, group) for group in groups]) for name in ("phase", "seeds", "state", *names)]
    if all(len(group) == 1 for group in groups):
        columns = [column for column in columns if column[0] != "seeds"]
    return table_within(columns, width, _least_wanted(names, best_metric, asked))


def weights_text(folder: RunFolder, weights: Sequence[Path]) -> str:
    """The file, or the folder and the number of files in it."""
    if len(weights) <= 2:
        return ", ".join(str(path) for path in weights)
    branches = [path for path in weights if path.parent == folder.branches]
    main = [str(path) for path in weights if path.parent != folder.branches]
    return ", ".join([*main, f"{folder.branches} ({len(branches)} files)"])


def _cell(name: str, group: Sequence[NodeResult]) -> str:
    if name == "phase":
        return arm_of(phase_name(group[0].phase))
    if name == "seeds":
        return str(len(group))
    if name == "state":
        return ", ".join(dict.fromkeys(result.state for result in group))
    values = [result.metrics[name] for result in group if name in result.metrics]
    if not values:
        return ""
    over_seeds = spread(values)
    return "nan" if over_seeds is None else str(over_seeds)


def _least_wanted(names: Sequence[str], best_metric: str, asked: Sequence[str]) -> list[str]:
    """The columns that may be left out, in that order; the phase, its seeds and the first test metric always stay."""
    test = f"test.{best_metric.partition('.')[2]}"
    wanted = ["state", "train.loss", "val.loss", "test.loss", "sparsity", best_metric]
    order = [*(name for name in names if name not in (*wanted, test)), *wanted]
    return [*(name for name in order if name not in asked), *(name for name in asked if name != test)]
