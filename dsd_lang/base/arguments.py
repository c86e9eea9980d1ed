"""The registry of arguments: name, where each is allowed, its values, default and meaning.

Everything that lists arguments reads this table: checks, passes, canonical order, plan table and diff, editors and the
language reference. An argument exists if it has a row here.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.options import (
    ALLOCATIONS,
    CLIPS,
    DECAYS,
    ENFORCEMENTS,
    NOISES,
    OPTIMIZERS,
    SCOPES,
    SCORES,
    UNITS,
    UPDATES,
    Option,
    words,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    StatementKind = Literal["dense", "sparse", "set", "repeat", "fork", "compare"]
    Kind = Literal[
        "lr", "number", "ratio", "whole", "length", "selectors", "choice", "function",
        "decay", "source", "distill", "clip", "text", "metric", "scale",
    ]  # fmt: skip
    ReferenceTable = Literal["rate", "pruning", "weights", "overrides", "settings", "blocks"]
    Home = Literal["phase", "target", "selection", "lr", "elsewhere"]

RATE_WORDS = ("prev", "last", "base")  # the names in the arithmetic of `lr=`

PHASE: tuple[StatementKind, ...] = ("dense", "sparse")
PHASE_OR_SET: tuple[StatementKind, ...] = ("dense", "sparse", "set")
SPARSE: tuple[StatementKind, ...] = ("sparse",)
SPARSE_OR_SET: tuple[StatementKind, ...] = ("sparse", "set")
SET: tuple[StatementKind, ...] = ("set",)


class Argument(NamedTuple):
    """One row of the registry.

    ``home`` says where the plan stores the value: in an attribute of the phase (``field``, if its name differs), its
    target, its selectors, its learning rate, or elsewhere. ``group`` is its table in the language reference.
    ``example`` is a value to start from if the default cannot be written. ``least`` is the minimum of whole numbers.
    ``is_supported`` is false if `dsd-run` executes only the default. ``may_be_share``: also a share of the phase.
    """

    name: str
    places: tuple[StatementKind, ...]
    kind: Kind
    default: str
    meaning: str
    group: ReferenceTable
    options: tuple[Option, ...] = ()
    home: Home = "phase"
    field: str = ""
    example: str = ""
    least: int = 1
    is_supported: bool = True
    may_be_share: bool = False

    def option(self, name: str) -> Option | None:
        """The option of that name."""
        return next((option for option in self.options if option.name == name), None)

    def selects_nothing(self, selectors: Sequence[str]) -> bool:
        """Whether selectors are the word `none`, alone, of an argument that selects no layer by default."""
        return self.kind == "selectors" and (self.default,) == tuple(selectors) == ("none",)

    @property
    def attribute(self) -> str:
        """The name of its attribute in the plan."""
        return self.field or self.name

    @property
    def start(self) -> str:
        """A value to start from: the example, else the default."""
        return self.example or self.default


ARGUMENTS: tuple[Argument, ...] = (
    Argument(
        "of",
        SPARSE,
        "choice",
        "all",
        "what the target is a fraction of",
        "pruning",
        words("all", "remaining"),
        home="target",
    ),
    Argument(
        "ramp",
        SPARSE,
        "choice",
        "cubic",
        "the shape of a ramp target",
        "pruning",
        words("cubic", "linear", "cosine", "exp"),
        home="target",
    ),
    Argument("every", SPARSE, "length", "100it", "how often a ramp selects again", "pruning", home="target"),
    Argument(
        "masks",
        SPARSE,
        "choice",
        "previous",
        "which masks `held` keeps: those of the phase before, or the zeros that the weights have (`current`)",
        "pruning",
        words("previous", "current"),
        home="target",
        example="current",
    ),
    Argument(
        "layers",
        SPARSE_OR_SET,
        "selectors",
        "prunable",
        "which layers are pruned",
        "pruning",
        home="selection",
        example="fc",
    ),
    Argument(
        "except",
        SPARSE_OR_SET,
        "selectors",
        "none",
        "which layers are not",
        "pruning",
        home="selection",
        example="first_conv",
    ),
    Argument("freeze", PHASE, "selectors", "none", "layers not trained", "overrides", example="embed"),
    Argument("others", SPARSE_OR_SET, "choice", "none", "masks of unselected layers", "pruning", words("none", "hold")),
    Argument(
        "lr",
        PHASE_OR_SET,
        "lr",
        "inherited",
        "the start of the phase's learning rate",
        "rate",
        home="lr",
        example="1e-3",
    ),
    Argument(
        "decay",
        PHASE_OR_SET,
        "decay",
        "constant",
        "the learning rate's shape within the phase",
        "rate",
        DECAYS,
        home="lr",
    ),
    Argument(
        "floor", PHASE_OR_SET, "number", "0", "the lowest value the decay reaches", "rate", home="lr", example="1e-6"
    ),
    Argument(
        "warmup",
        PHASE_OR_SET,
        "length",
        "none",
        "linear warm-up at the head of the phase",
        "rate",
        words("none"),
        home="lr",
        example="100it",
        may_be_share=True,
    ),
    Argument("by", SPARSE_OR_SET, "function", "magnitude", "the score; smallest are pruned", "pruning", SCORES),
    Argument(
        "scope",
        SPARSE_OR_SET,
        "choice",
        "layer",
        "where scores compete",
        "pruning",
        SCOPES,
    ),
    Argument(
        "alloc",
        SPARSE_OR_SET,
        "choice",
        "uniform",
        "how the target is spread over layers",
        "pruning",
        ALLOCATIONS,
    ),
    Argument("unit", SPARSE_OR_SET, "function", "weight", "what is pruned as one", "pruning", UNITS),
    Argument(
        "min",
        SPARSE_OR_SET,
        "whole",
        "1",
        "weights (or units) of a tensor kept in any case",
        "pruning",
        field="minimum",
        example="0",
        least=0,
    ),
    Argument(
        "restore",
        ("dense", "set"),
        "source",
        "zero",
        "what revived weights become",
        "weights",
        words("zero", "saved", "init", "random"),
    ),
    Argument(
        "from",
        PHASE,
        "source",
        "last",
        "what the weights start from",
        "weights",
        words("last", "random"),
        example="random",
    ),
    Argument(
        "clock",
        PHASE_OR_SET,
        "source",
        "phase",
        "which clock drives lr shape and data order",
        "rate",
        words("phase", "global"),
    ),
    Argument(
        "state",
        PHASE_OR_SET,
        "choice",
        "zero",
        "optimizer state of pruned and revived weights",
        "weights",
        words("zero", "reset", "keep"),
    ),
    Argument(
        "opt",
        PHASE_OR_SET,
        "function",
        "the model's",
        "the optimizer",
        "overrides",
        OPTIMIZERS,
        example="sgd(momentum=0.9)",
    ),
    Argument("wd", PHASE_OR_SET, "number", "the model's", "weight decay", "overrides", example="1e-4"),
    Argument("l1", PHASE_OR_SET, "number", "0", "the weight of an L1 penalty", "overrides", example="1e-5"),
    Argument(
        "clip",
        PHASE_OR_SET,
        "clip",
        "the model's",
        "gradient clipping: a norm, `norm(x)` or `value(x)`",
        "overrides",
        CLIPS,
        example="norm(5)",
    ),
    Argument("batch", PHASE_OR_SET, "whole", "the model's", "samples in a batch", "overrides", example="128"),
    Argument(
        "dropout",
        PHASE_OR_SET,
        "ratio",
        "the model's",
        "the probability of every dropout layer",
        "overrides",
        example="20%",
    ),
    Argument("update", SPARSE_OR_SET, "function", "none", "dynamic masks", "pruning", UPDATES),
    Argument("enforce", SPARSE_OR_SET, "function", "hard", "how the mask acts", "pruning", ENFORCEMENTS),
    Argument(
        "distill",
        PHASE,
        "distill",
        "none",
        "knowledge distillation from a checkpoint or a file",
        "weights",
        words("none"),
    ),
    Argument(
        "calibrate",
        PHASE_OR_SET,
        "length",
        "off",
        "refresh batch-norm statistics before evaluating",
        "weights",
        words("off", "none"),
        example="100it",
    ),
    Argument("model", SET, "text", "--model", "the network", "settings", home="elsewhere", example='"ds2"'),
    Argument("data", SET, "text", "--data", "the data set", "settings", home="elsewhere", example='"digits"'),
    Argument("seed", SET, "whole", "0", "the seed of every random stream", "settings", home="elsewhere", least=0),
    Argument(
        "precision",
        SET,
        "choice",
        "fp32",
        "number format of training",
        "settings",
        words("fp32", "bf16", "fp16"),
        home="elsewhere",
    ),
    Argument(
        "noise",
        SET,
        "function",
        "none",
        "label noise",
        "settings",
        NOISES,
        home="elsewhere",
        example="symmetric(20%)",
    ),
    Argument(
        "scale",
        ("repeat",),
        "scale",
        "0.1",
        "every lr of the copied pair is multiplied by it per cycle",
        "blocks",
        home="elsewhere",
        example="0.5",
    ),
    Argument(
        "seeds", ("fork",), "whole", "1", "how often each branch is trained", "blocks", home="elsewhere", example="3"
    ),
    Argument(
        "rng",
        ("fork",),
        "choice",
        "shared",
        "data order of branches",
        "blocks",
        words("shared", "distinct"),
        home="elsewhere",
    ),
    Argument(
        "on",
        ("compare",),
        "metric",
        "required",
        "the metric compared",
        "blocks",
        home="elsewhere",
        example="test.err",
    ),
    Argument(
        "test",
        ("compare",),
        "choice",
        "paired",
        "the t-test over seeds; the default is `welch` for arms with `rng=distinct`",
        "blocks",
        words("welch", "student", "paired"),
        home="elsewhere",
    ),
    Argument(
        "at",
        ("compare",),
        "choice",
        "end",
        "where the metric is read",
        "blocks",
        words("end", "best"),
        home="elsewhere",
    ),
)

BY_NAME: dict[str, Argument] = {argument.name: argument for argument in ARGUMENTS}


def allowed_at(statement: StatementKind) -> tuple[str, ...]:
    """The names of the arguments that are allowed on a statement of this kind."""
    return tuple(argument.name for argument in ARGUMENTS if statement in argument.places)


def kept_in(home: Home) -> tuple[Argument, ...]:
    """The arguments whose values the plan stores there."""
    return tuple(argument for argument in ARGUMENTS if argument.home == home)
