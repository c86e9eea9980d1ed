"""The registry of metrics: name, unit, direction and meaning of everything that is measured.

Conditions, `@best`, the linter, editors, tables and reports read it. A user's own metric has no row: its direction is
given when it is reported, and never guessed from its name.
"""

from __future__ import annotations

from dsd_lang.base.arms import split_path
from dsd_lang.base.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    MetricUnit = Literal["points", "ratio", "bits", ""]
    """``points`` run from 0 to 100 (so `10%` in a condition means 10), a ``ratio`` from 0 to 1; ``""`` has no unit."""


class Metric(NamedTuple):
    """One metric. ``has_split``: it is measured on each split. ``is_supported``: `dsd-run` measures it."""

    name: str
    unit: MetricUnit
    higher_is_better: bool
    meaning: str
    has_split: bool = True
    is_supported: bool = True


def _bleu(order: int, suffix: str, how: str) -> Metric:
    return Metric(f"bleu{order}{suffix}", "points", True, f"BLEU up to {order}-grams {how} the brevity penalty")


RELU_ENTROPY = "entropy.relu"
MOVED = "masks.moved"
"""The name under which a run records how many weights a mask update (`update=`) has moved; no condition reads it."""

METRICS: tuple[Metric, ...] = (
    Metric("loss", "", False, "the loss"),
    Metric("err", "points", False, "share of wrong answers"),
    Metric("acc", "points", True, "share of right answers"),
    Metric("top1_err", "points", False, "share of samples whose best guess is wrong"),
    Metric("top5_err", "points", False, "share of samples whose five best guesses are all wrong"),
    Metric("wer", "points", False, "word error rate"),
    Metric("cer", "points", False, "character error rate"),
    Metric("ppl", "", False, "perplexity"),
    *(_bleu(order, "", "without") for order in range(1, 5)),
    *(_bleu(order, "_bp", "with") for order in range(1, 5)),
    Metric("sparsity", "ratio", True, "the share of weights that are masked", has_split=False),
    Metric(
        RELU_ENTROPY,
        "bits",
        True,
        "the mean entropy of the sign of every ReLU's input, measured on the validation data",
        has_split=False,
    ),
)

SPLITS: dict[str, str] = {
    "train": "measured while training",
    "val": "measured on the validation data",
    "test": "measured on the test data",
}
MEASURES: dict[str, Metric] = {metric.name: metric for metric in METRICS if metric.has_split}
WITHOUT_SPLIT: dict[str, Metric] = {metric.name: metric for metric in METRICS if not metric.has_split}
FULL_NAMES: tuple[str, ...] = (*(f"{split}.{name}" for split in SPLITS for name in MEASURES), *WITHOUT_SPLIT)


def find_metric(name: str) -> Metric | None:
    """The row of a full name such as `val.err` or `sparsity`; None for a user's own metric.

    >>> find_metric("val.wer").higher_is_better, find_metric("val.f1")
    (False, None)
    """
    if name in WITHOUT_SPLIT:
        return WITHOUT_SPLIT[name]
    split, _, measure = name.partition(".")
    return MEASURES.get(measure) if split in SPLITS else None


def is_in_points(name: str) -> bool:
    """Whether a metric is in percent points, so that `10%` in a condition means 10; false for a user's own metric."""
    metric = find_metric(name)
    return metric is not None and metric.unit == "points"


def metric_meaning(name: str) -> str | None:
    """What a metric is; None for a user's own.

    >>> metric_meaning("val.wer")
    'word error rate, in points, measured on the validation data'
    """
    metric = find_metric(name)
    if metric is None:
        return None
    unit = ", in points" if metric.unit == "points" else ""
    where = f", {SPLITS[name.partition('.')[0]]}" if metric.has_split else ""
    return f"{metric.meaning}{unit}{where}"


def split_metric(text: str) -> tuple[str, str]:
    """Splits a dotted name into branch and metric: `dsd.test.err` is (`dsd`, `test.err`); `sparsity` has no branch."""
    parts = split_path(text)
    size = 1 if parts[-1] in WITHOUT_SPLIT else 2
    return ".".join(parts[:-size]), ".".join(parts[-size:])


def problem_of_metric(metric: str) -> tuple[str, str | None] | None:
    """Why a metric does not exist, and which one may have been meant; None if it exists.

    A name that is not similar to any known metric is taken as the user's own (`val.f1`) and accepted.
    """
    from dsd_lang.base.errors import nearest

    if find_metric(metric) is not None:
        return None
    root, _, name = metric.partition(".")
    if root in SPLITS and name:
        import difflib

        near = difflib.get_close_matches(name, MEASURES, n=1, cutoff=0.75)
        return (f"unknown metric `{metric}`", f"{root}.{near[0]}") if near else None
    from dsd_lang.base.foreign_words import FOREIGN_METRICS as FOREIGN

    plain = metric.lower()
    for split in SPLITS:  # `val_loss`, `val/loss`, `validation.loss`
        for spelling in (
            f"{split}_",
            f"{split}/",
            {"val": "validation.", "train": "training."}.get(split, f"{split}ing."),
        ):
            if plain.startswith(spelling):
                root, name = split, FOREIGN.get(plain.removeprefix(spelling), plain.removeprefix(spelling))
                return f"unknown metric `{metric}`", f"{root}.{name}" if name.isidentifier() else None
    if not name and plain in FOREIGN:
        return f"unknown metric `{metric}`", f"val.{FOREIGN[plain]}"
    guess = nearest(metric, FULL_NAMES)
    if guess is None and not name and metric in MEASURES:
        guess = f"val.{metric}"
    if guess is None and name:
        near_root = nearest(root, tuple(SPLITS))
        guess = f"{near_root}.{name}" if near_root else None
    return f"unknown metric `{metric}`", guess
