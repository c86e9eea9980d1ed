"""The values that arguments take, with their parameters: scores, optimizers, decays; and whether they are supported."""

from __future__ import annotations

from typing import Literal

from dsd_lang.base.named_tuples import NamedTuple

ParameterKind = Literal[
    "number", "positive", "ratio", "share", "whole", "length", "choice", "switch", "file", "text", "any"
]


class Parameter(NamedTuple):
    """A parameter of an option, in parentheses: `momentum=`, or `0`, `1` for positional ones.

    ``kind`` says which values are valid, ``words`` are those of a choice. ``default`` is the default if the language
    and not torch defines it. An editor inserts ``example``, and a required parameter with it.
    """

    name: str
    kind: ParameterKind
    example: str
    default: str = ""
    words: tuple[str, ...] = ()
    is_required: bool = False

    @property
    def is_named(self) -> bool:
        """Whether it is written as `name=value`."""
        return not self.name.isdigit()


class Option(NamedTuple):
    """One value of an argument, with its parameters; ``is_supported`` says whether `dsd-run` executes it."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    is_supported: bool = True

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the parameters that are not positional."""
        return tuple(parameter.name for parameter in self.parameters if parameter.is_named)


def words(*names: str, is_supported: bool = True) -> tuple[Option, ...]:
    """Options without parameters."""
    return tuple(Option(name, is_supported=is_supported) for name in names)


_EPS = Parameter("eps", "number", "1e-8")
_BETAS = (Parameter("beta1", "ratio", "0.9"), Parameter("beta2", "ratio", "0.999"), _EPS)
_AMSGRAD = Parameter("amsgrad", "switch", "on")
_MOMENTUM = Parameter("momentum", "number", "0.9")
_BATCHES = Parameter("batches", "whole", "1")
_SAMPLES = Parameter("samples", "whole", "128")
_EVERY = Parameter("every", "length", "100it")
_DROP = Parameter("drop", "share", "30%")
_UNTIL = Parameter("until", "share", "75%")
_FLOOR = Parameter("floor", "number", "1e-6")
_NOISE = (Parameter("0", "share", "20%", is_required=True),)

SCORES = (
    Option("magnitude", (Parameter("order", "choice", "largest", "smallest", ("smallest", "largest")),)),
    Option("random"),
    Option("gradient", (_BATCHES,), is_supported=False),
    Option("snip", (_BATCHES,), is_supported=False),
    Option("grasp", (_BATCHES, _SAMPLES, Parameter("temperature", "positive", "200")), is_supported=False),
    Option("synflow", (Parameter("rounds", "whole", "100"),), is_supported=False),
    Option("taylor", (_BATCHES,), is_supported=False),
    Option("fisher", (_BATCHES,), is_supported=False),
    Option("movement", (Parameter("score_lr", "positive", "1e-2"),), is_supported=False),
    Option("wanda", (_SAMPLES,), is_supported=False),
    Option(
        "sparsegpt",
        (_SAMPLES, Parameter("block", "whole", "128"), Parameter("damping", "number", "0.01")),
        is_supported=False,
    ),
)
OPTIMIZERS = (
    Option("sgd", (_MOMENTUM, Parameter("nesterov", "switch", "on"), Parameter("dampening", "number", "0"))),
    Option("adam", (*_BETAS, _AMSGRAD)),
    Option("adamw", (*_BETAS, _AMSGRAD)),
    Option("nadam", _BETAS),
    Option("radam", _BETAS),
    Option("adamax", _BETAS),
    Option("rmsprop", (Parameter("alpha", "share", "0.99"), _MOMENTUM, _EPS, Parameter("centered", "switch", "on"))),
    Option(
        "adagrad",
        (_EPS, Parameter("lr_decay", "number", "0"), Parameter("initial_accumulator_value", "number", "0")),
    ),
    Option("adadelta", (Parameter("rho", "share", "0.9"), _EPS)),
)
DECAYS = (
    Option("constant", (_FLOOR,)),
    Option("cosine", (_FLOOR,)),
    Option("linear", (_FLOOR,)),
    Option(
        "step",
        (
            Parameter("0", "any", "33%", is_required=True),
            Parameter("1", "any", "66%", is_required=True),
            Parameter("by", "positive", "0.1", "0.1", is_required=True),
            _FLOOR,
        ),
    ),
    Option("exp", (Parameter("0", "positive", "0.95", is_required=True), _FLOOR)),
)
UNITS = (
    Option("weight"),
    *words("row", "filter", "channel", is_supported=False),
    Option(
        "block",
        (Parameter("0", "whole", "4", is_required=True), Parameter("1", "whole", "1", is_required=True)),
        is_supported=False,
    ),
)
CLIPS = (
    Option("none"),
    Option("norm", (Parameter("0", "positive", "5", is_required=True),)),
    Option("value", (Parameter("0", "positive", "1", is_required=True),)),
)
UPDATES = (
    Option("none"),
    Option(
        "set",
        (_DROP._replace(is_required=True), _EVERY._replace(is_required=True), _UNTIL),
        is_supported=False,
    ),
    Option("rigl", (_DROP, _EVERY, _UNTIL), is_supported=False),
    Option("magnitude", (_EVERY, _UNTIL), is_supported=False),
)
ENFORCEMENTS = (
    Option("hard"),
    Option("ste", is_supported=False),
    Option("srste", (Parameter("decay", "number", "2e-4"),), is_supported=False),
    Option("topkast", (Parameter("backward", "share", "50%"), _EVERY), is_supported=False),
)
NOISES = (
    Option("none"),
    Option("symmetric", _NOISE),
    Option("asymmetric", _NOISE),
    Option("pairflip", _NOISE),
    Option("file", (Parameter("0", "file", '"noisy.csv"', is_required=True),)),
)
DISTILL_PARAMETERS = (
    Parameter("alpha", "share", "0.5", "0.8"),
    Parameter("T", "positive", "4", "10"),
    Parameter("model", "text", '"resnet18"'),
)
