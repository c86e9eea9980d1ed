"""The one table of arguments: name in, where it may stand, what it takes, its default and its meaning out.

The checks, the passes and the language reference all read this page; an argument exists when it has a row here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Place = Literal["dense", "sparse", "set", "repeat", "fork", "compare"]
Kind = Literal[
    "lr",
    "number",
    "positive",
    "ratio",
    "whole",
    "length",
    "selectors",
    "choice",
    "function",
    "decay",
    "source",
    "distill",
    "clip",
    "text",
    "metric",
    "scale",
]
Tier = Literal["C", "E", "B"]

RATE_WORDS = ("prev", "last", "base")  # what `lr=` may count from

PHASE: tuple[Place, ...] = ("dense", "sparse")
PHASE_OR_SET: tuple[Place, ...] = ("dense", "sparse", "set")
SPARSE: tuple[Place, ...] = ("sparse",)
SPARSE_OR_SET: tuple[Place, ...] = ("sparse", "set")
SET: tuple[Place, ...] = ("set",)


class Option(NamedTuple):
    """One word an argument takes, with its own named parameters; None as parameters means any."""

    name: str
    tier: Tier = "C"
    parameters: tuple[str, ...] | None = ()


class Argument(NamedTuple):
    """One row: where `name=` may stand, the kind of its value, its options, default and meaning."""

    name: str
    places: tuple[Place, ...]
    kind: Kind
    tier: Tier
    default: str
    meaning: str
    options: tuple[Option, ...] = ()

    def option(self, name: str) -> Option | None:
        """The option of that name."""
        return next((option for option in self.options if option.name == name), None)


def _words(*names: str, tier: Tier = "C") -> tuple[Option, ...]:
    return tuple(Option(name, tier) for name in names)


_SCORES = (
    Option("magnitude", "C", ("order",)),
    Option("random"),
    Option("gradient", "B", ("batches",)),
    Option("snip", "B", ("batches",)),
    Option("grasp", "B", ("batches", "samples", "temperature")),
    Option("synflow", "B", ("rounds",)),
    Option("taylor", "B", ("batches",)),
    Option("fisher", "B", ("batches",)),
    Option("movement", "B", ("score_lr",)),
    Option("wanda", "B", ("samples",)),
    Option("sparsegpt", "B", ("samples", "block", "damping")),
)
_OPTIMIZERS = (
    Option("sgd", "C", ("momentum", "nesterov", "dampening")),
    Option("adam", "C", ("beta1", "beta2", "eps", "amsgrad")),
    Option("adamw", "C", ("beta1", "beta2", "eps", "amsgrad")),
    Option("nadam", "C", ("beta1", "beta2", "eps")),
    Option("radam", "C", ("beta1", "beta2", "eps")),
    Option("adamax", "C", ("beta1", "beta2", "eps")),
    Option("rmsprop", "C", ("alpha", "momentum", "eps", "centered")),
    Option("adagrad", "C", ("eps", "lr_decay", "initial_accumulator_value")),
    Option("adadelta", "C", ("rho", "eps")),
)
_DECAYS = (
    Option("constant", "C", ("floor",)),
    Option("cosine", "C", ("floor",)),
    Option("linear", "C", ("floor",)),
    Option("step", "C", ("by", "floor")),
    Option("exp", "C", ("floor",)),
)

ARGUMENTS: tuple[Argument, ...] = (
    Argument("of", SPARSE, "choice", "C", "all", "what the target is a fraction of", _words("all", "remaining")),
    Argument(
        "ramp",
        SPARSE,
        "choice",
        "C",
        "cubic",
        "the shape of a ramp target",
        _words("cubic", "linear", "cosine", "exp"),
    ),
    Argument("every", SPARSE, "length", "C", "100it", "how often a ramp selects again"),
    Argument("layers", SPARSE_OR_SET, "selectors", "C", "prunable", "which layers are pruned"),
    Argument("except", SPARSE_OR_SET, "selectors", "C", "none", "which layers are not"),
    Argument("others", SPARSE_OR_SET, "choice", "C", "none", "masks of unselected layers", _words("none", "hold")),
    Argument("lr", PHASE_OR_SET, "lr", "C", "inherited", "the start of the phase's learning rate"),
    Argument("decay", PHASE_OR_SET, "decay", "C", "constant", "the learning rate's shape within the phase", _DECAYS),
    Argument("floor", PHASE_OR_SET, "number", "C", "0", "the lowest value the decay reaches"),
    Argument("warmup", PHASE_OR_SET, "length", "C", "none", "linear warm-up at the head of the phase", _words("none")),
    Argument("by", SPARSE_OR_SET, "function", "C", "magnitude", "the score; smallest are pruned", _SCORES),
    Argument(
        "scope",
        SPARSE_OR_SET,
        "choice",
        "C",
        "layer",
        "where scores compete",
        (*_words("layer", "global"), *_words("row", "group", tier="E")),
    ),
    Argument(
        "alloc",
        SPARSE_OR_SET,
        "choice",
        "C",
        "uniform",
        "how the target is spread over layers",
        (Option("uniform"), *_words("erk", "er", tier="E")),
    ),
    Argument(
        "unit",
        SPARSE_OR_SET,
        "function",
        "C",
        "weight",
        "what is pruned as one",
        (Option("weight"), *_words("row", "filter", "channel", tier="E"), Option("block", "E", ("0", "1"))),
    ),
    Argument("min", SPARSE_OR_SET, "whole", "C", "1", "weights of a tensor kept in any case"),
    Argument(
        "restore",
        ("dense", "set"),
        "source",
        "C",
        "zero",
        "what revived weights become",
        _words("zero", "saved", "init", "random"),
    ),
    Argument("from", PHASE, "source", "E", "last", "what the weights start from", _words("last", "random", tier="E")),
    Argument(
        "clock",
        PHASE_OR_SET,
        "source",
        "E",
        "phase",
        "which clock drives lr shape and data order",
        _words("phase", "global", tier="E"),
    ),
    Argument(
        "state",
        PHASE_OR_SET,
        "choice",
        "C",
        "zero",
        "optimizer state of pruned and revived weights",
        _words("zero", "reset", "keep"),
    ),
    Argument("opt", PHASE_OR_SET, "function", "C", "the model's", "the optimizer", _OPTIMIZERS),
    Argument("wd", PHASE_OR_SET, "number", "C", "the model's", "weight decay"),
    Argument("l1", PHASE_OR_SET, "number", "C", "0", "the weight of an L1 penalty"),
    Argument(
        "clip",
        PHASE_OR_SET,
        "clip",
        "C",
        "the model's",
        "gradient clipping: a norm, `norm(x)` or `value(x)`",
        (Option("none"), Option("norm", "C", ("0",)), Option("value", "C", ("0",))),
    ),
    Argument("batch", PHASE_OR_SET, "whole", "C", "the model's", "samples in a batch"),
    Argument("dropout", PHASE_OR_SET, "ratio", "C", "the model's", "the probability of every dropout layer"),
    Argument(
        "update",
        SPARSE_OR_SET,
        "function",
        "B",
        "none",
        "dynamic masks",
        (
            Option("none"),
            Option("set", "B", ("drop", "every", "until")),
            Option("rigl", "B", ("drop", "every", "until")),
            Option("magnitude", "B", ("every", "until")),
        ),
    ),
    Argument(
        "enforce",
        SPARSE_OR_SET,
        "function",
        "B",
        "hard",
        "how the mask acts",
        (
            Option("hard"),
            Option("ste", "B"),
            Option("srste", "B", ("decay",)),
            Option("topkast", "B", ("backward", "every")),
        ),
    ),
    Argument("distill", PHASE, "distill", "E", "none", "knowledge distillation from a checkpoint", _words("none")),
    Argument(
        "calibrate",
        PHASE_OR_SET,
        "length",
        "E",
        "off",
        "refresh batch-norm statistics before evaluating",
        _words("off", "none", tier="E"),
    ),
    Argument("model", SET, "text", "C", "--model", "the network"),
    Argument("data", SET, "text", "C", "--data", "the data set"),
    Argument("seed", SET, "whole", "C", "0", "the seed of every random stream"),
    Argument("precision", SET, "choice", "C", "fp32", "number format of training", _words("fp32", "bf16", "fp16")),
    Argument(
        "noise",
        SET,
        "function",
        "E",
        "none",
        "label noise",
        (
            Option("none"),
            Option("symmetric", "E", ("0",)),
            Option("asymmetric", "E", ("0",)),
            Option("pairflip", "E", ("0",)),
        ),
    ),
    Argument("scale", ("repeat",), "scale", "C", "0.1", "every lr of the copied pair is multiplied by it per cycle"),
    Argument("seeds", ("fork",), "whole", "C", "1", "how often each branch is trained"),
    Argument("rng", ("fork",), "choice", "C", "shared", "data order of branches", _words("shared", "distinct")),
    Argument("on", ("compare",), "metric", "E", "required", "the metric compared"),
    Argument("test", ("compare",), "choice", "E", "welch", "the t-test", _words("welch", "student", "paired")),
    Argument("at", ("compare",), "choice", "E", "end", "where the metric is read", _words("end", "best")),
)

BY_NAME: dict[str, Argument] = {argument.name: argument for argument in ARGUMENTS}


def allowed_at(place: Place) -> tuple[str, ...]:
    """The names of the arguments that may stand at a place."""
    return tuple(argument.name for argument in ARGUMENTS if place in argument.places)
