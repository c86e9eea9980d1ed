"""Predictions on the test items, kept for each last node of an arm, so that two models can be compared item by item.

`predictions/<node key>.jsonl` holds one JSON object a line. Classes: `target`, `guess`. Speech: `reference`,
`hypothesis`, `word_errors`, `words`, `character_errors`, `characters`, and `speaker` where the data knows it. Captions:
`hypothesis`, `references`, `matches`, `totals` (n-grams by order).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.item_tests import CaptionCounts, CountedErrors, bleu_test, error_rate_test, mcnemar
from dsd_runtime.results.parts import ItemTest

_RIGHT_OR_WRONG = {"err": True, "top1_err": True, "acc": False}
_COUNTED = {"wer": ("word_errors", "words"), "cer": ("character_errors", "characters")}
_BLEU = {f"bleu{order}": order for order in range(1, 5)}


def predictions_file(folder: RunFolder, node: str) -> Path:
    """Where the predictions of a node are kept."""
    return folder.predictions / f"{node}.jsonl"


def read_predictions(path: Path) -> Sequence[Mapping[str, Any]]:
    """The lines of a file; empty where there is none. Raises :class:`DsdError` for a damaged one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DsdError(f"`{path}` cannot be read: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.append(dict(json.loads(line)))
        except (TypeError, ValueError, RecursionError) as error:
            raise DsdError(
                f"`{path}` is damaged in line {number}", help="delete it; `dsd-run` writes it again"
            ) from error
    return found


def can_compare(metric: str) -> bool:
    """Whether there is a test over items for a metric such as `test.wer`."""
    split, _, measure = metric.partition(".")
    return split == "test" and measure in {**_RIGHT_OR_WRONG, **_COUNTED, **_BLEU}


def compare_items(
    left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]], *, metric: str, seed: int
) -> ItemTest | None:
    """The test that belongs to the metric; None where the predictions hold nothing that it could use.

    Raises :class:`DsdError` when the two are not predictions on the same items.
    """
    measure = metric.partition(".")[2]
    _require_same_items(left, right)
    try:
        if measure in _RIGHT_OR_WRONG:
            hits = [[line["guess"] == line["target"] for line in side] for side in (left, right)]
            return mcnemar(*hits, seed=seed, errors=_RIGHT_OR_WRONG[measure])
        if measure in _COUNTED:
            counted = [[_errors(line, *_COUNTED[measure]) for line in side] for side in (left, right)]
            return error_rate_test(*counted, seed=seed)
        if measure in _BLEU:
            counts = [
                [CaptionCounts(tuple(line["matches"]), tuple(line["totals"])) for line in side]
                for side in (left, right)
            ]
            return bleu_test(*counts, order=_BLEU[measure], seed=seed)
    except KeyError:
        return None
    return None


def _errors(line: Mapping[str, Any], errors: str, size: str) -> CountedErrors:
    return CountedErrors(int(line[errors]), int(line[size]), line.get("speaker"))


def _require_same_items(left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> None:
    for name in ("target", "reference", "references"):
        if [line.get(name) for line in left] != [line.get(name) for line in right]:
            raise DsdError("the two arms were not tested on the same items", help="run both with the same data")
