"""What the words of the language mean, one sentence each: for hovers and beside what is offered.

Arguments have their meaning in `dsd_lang.base.arguments`, findings in their pages; here is the rest of the vocabulary.
"""

from __future__ import annotations

KEYWORDS = {
    "dense": ("[label:] dense ARGUMENT*", "a phase without masks: every weight trains"),
    "sparse": ("[label:] sparse TARGET ARGUMENT*", "a phase with masks: the target is the share pruned"),
    "set": ("set NAME=VALUE ...", "a setting of the whole program"),
    "repeat": (
        "repeat [N] [sparse ...] [then dense ...]",
        "the last sparse...dense pair again, every lr times `scale=` (0.1) a cycle; `repeat N { ... }` is a plain loop",
    ),
    "for": ("for NAME in VALUE, ... { ... }", "the block once for each value, one after the other"),
    "sweep": ("sweep NAME in VALUE, ... { ... }", "a branch for each value, all from the same state"),
    "fork": ("fork [seeds=N] { a: {...}  b: PHASE }", "branches from the state here; the line goes on from here too"),
    "compare": ("compare A vs B on=METRIC", "two branches compared by a t-test on a metric"),
    "expect": ("expect CONDITION", "a claim that is checked at the end of the run"),
    "until": ("until CONDITION", "stops early; the length given is the bound"),
    "held": ("sparse held", "a target: the masks stay as they are"),
    "as": ("repeat N as NAME { ... }", "the name of the round, counted from 0"),
    "in": ("for NAME in VALUE, ...", "the values a name takes"),
    "vs": ("compare A vs B", "stands between the branches compared"),
    "then": ("repeat sparse ... then dense ...", "what follows overrides the dense phase of the copy"),
    "and": ("CONDITION and CONDITION", "both hold"),
    "or": ("CONDITION or CONDITION", "one of them holds"),
    "not": ("not CONDITION", "it does not hold"),
}
SELECTORS = {
    "conv": "convolutions",
    "fc": "fully connected layers; not the projection into a CTC alphabet, which is `ctc`",
    "rnn": "plain recurrent layers, of one direction or both",
    "lstm": "LSTM layers, of one direction or both",
    "gru": "GRU layers, of one direction or both",
    "birnn": "every bidirectional recurrent layer: RNN, LSTM or GRU",
    "embed": "embeddings; never pruned unless named",
    "norm": "normalisation layers; never pruned unless named",
    "attention": "attention layers",
    "first_conv": "the first convolution of the model",
    "output": "the last fully connected or CTC layer",
    "ctc": "the projection into the CTC alphabet, which is not `fc`",
    "prunable": "every matrix of `conv`, `fc` and recurrent layers, less a convolution that comes first: the default",
    "all": "every weight of two or more dimensions",
}
PARTS = {"ih": "only the input-to-hidden matrices", "hh": "only the hidden-to-hidden matrices"}
MOMENTS = {
    "start": "the weights before the phase's entry",
    "entered": "the weights after the entry: masked, restored, not yet trained",
    "end": "the weights at the phase's end",
    "best": "the weights at its best evaluation",
}
LATER = "the weights after that much of the phase"
INIT = "the run's first weights"
RATES = {
    "prev": "the previous phase's learning rate at its start",
    "last": "the previous phase's final learning rate",
    "base": "the first phase's learning rate",
}
CONDITIONS = {
    "plateau": "`patience` evaluations in a row improved on the best by no more than `delta`",
    "falling": "the metric fell in each of the last `rounds` rounds of a loop",
    "gain": "on a loop: how much the last round improved the metric",
    "drop": "on a loop: how far the last round's end is below the best before it",
}
SPLITS = {
    "train": "measured while training",
    "val": "measured on the validation data",
    "test": "measured on the test data",
}
METRICS = {
    "loss": "the loss",
    "err": "share of wrong answers, in points",
    "acc": "share of right answers, in points",
    "top1_err": "share of samples whose best guess is wrong, in points",
    "top5_err": "share of samples whose five best guesses are all wrong, in points",
    "wer": "word error rate, in points",
    "cer": "character error rate, in points",
    "ppl": "perplexity",
    **{f"bleu{n}": f"BLEU up to {n}-grams without the brevity penalty, in points" for n in range(1, 5)},
    **{f"bleu{n}_bp": f"BLEU up to {n}-grams with the brevity penalty, in points" for n in range(1, 5)},
}
WITHOUT_SPLIT = {
    "sparsity": "the share of weights that are masked",
    "entropy.relu": "the mean entropy of the activations after ReLU layers",
}


def metric_meaning(name: str) -> str | None:
    """What a metric is; None for one of the user's own.

    >>> metric_meaning("val.wer")
    'word error rate, in points, measured on the validation data'
    """
    if name in WITHOUT_SPLIT:
        return WITHOUT_SPLIT[name]
    split, _, measure = name.partition(".")
    if split not in SPLITS or measure not in METRICS:
        return None
    return f"{METRICS[measure]}, {SPLITS[split]}"


def selector_meaning(word: str) -> str | None:
    """What a bare selector selects, its part included; None for an unknown word."""
    name, _, part = word.partition(".")
    meaning = SELECTORS.get(name)
    if meaning is None or (part and part not in PARTS):
        return None
    return f"{meaning}; {PARTS[part]}" if part else meaning
