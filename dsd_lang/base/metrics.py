"""The names of metrics: `train.loss`, `val.*`, `test.*`, `entropy.relu`, `sparsity`, and arms before them."""

from __future__ import annotations

SPLITS = ("train", "val", "test")
WITHOUT_SPLIT = ("sparsity", "entropy.relu")
KNOWN = (
    "loss",
    "err",
    "acc",
    "top1_err",
    "top5_err",
    "wer",
    "cer",
    "ppl",
    "bleu1",
    "bleu2",
    "bleu3",
    "bleu4",
    "bleu1_bp",
    "bleu2_bp",
    "bleu3_bp",
    "bleu4_bp",
)


def split_metric(text: str) -> tuple[str, str]:
    """A dotted name as arm and metric: `dsd.test.err` is (`dsd`, `test.err`), `sparsity` has no arm."""
    parts = text.split(".")
    size = 1 if parts[-1] == "sparsity" else 2
    return ".".join(parts[:-size]), ".".join(parts[-size:])


def problem_of_metric(metric: str) -> tuple[str, str | None] | None:
    """Why a metric does not exist, with the one that may have been meant; None for a good one.

    A word that is near no known metric is the user's own (`val.f1`) and passes.
    """
    from dsd_lang.base.errors import nearest

    if metric in WITHOUT_SPLIT:
        return None
    root, _, name = metric.partition(".")
    if root in SPLITS and name:
        if name in KNOWN:
            return None
        import difflib

        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.75)
        return (f"no metric is called `{metric}`", f"{root}.{near[0]}") if near else None
    choices = (*SPLITS, *(f"{split}.{known}" for split in SPLITS for known in KNOWN), *WITHOUT_SPLIT)
    guess = nearest(metric, tuple(choice for choice in choices if choice not in SPLITS))
    if guess is None and not name and metric in KNOWN:
        guess = f"val.{metric}"
    if guess is None and name:
        near_root = nearest(root, SPLITS)
        guess = f"{near_root}.{name}" if near_root else None
    return f"no metric is called `{metric}`", guess
