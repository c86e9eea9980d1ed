"""The values that arguments take, with their parameters: scores, optimizers, decays; and whether they are supported."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang.base.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    ParameterKind = Literal[
        "number", "positive", "ratio", "share", "whole", "length", "choice", "switch", "file", "text", "any"
    ]


class Parameter(NamedTuple):
    """A parameter of an option, in parentheses: `momentum=`, or `0`, `1` for positional ones.

    ``kind`` says which values are valid, ``words`` are those of a choice. ``default`` is the default if the language
    and not torch defines it; an interval without one is ``example`` where it is not written (a default is left out of
    the hash, so it cannot be added later). An editor inserts ``example``, and a required parameter with it.
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
    """One value of an argument, with its parameters.

    ``is_supported`` says whether `dsd-run` executes it, and ``source`` is the publication of a method.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    is_supported: bool = True
    source: str = ""

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def value(self, name: str, arguments: Mapping[str, str | bool]) -> str:
        """The written value of a parameter, else its default, else its example."""
        parameter = self.parameter(name)
        assert parameter is not None
        return str(arguments.get(name, parameter.default or parameter.example))

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the parameters that are not positional."""
        return tuple(parameter.name for parameter in self.parameters if parameter.is_named)


def words(*names: str) -> tuple[Option, ...]:
    """Options without parameters."""
    return tuple(Option(name) for name in names)


_EPS = Parameter("eps", "number", "1e-8")
_BETAS = (Parameter("beta1", "ratio", "0.9"), Parameter("beta2", "ratio", "0.999"), _EPS)
_AMSGRAD = Parameter("amsgrad", "switch", "on")
_MOMENTUM = Parameter("momentum", "number", "0.9")
_BATCHES = Parameter("batches", "whole", "1", "1")
_SAMPLES = Parameter("samples", "whole", "128", "128")
_EVERY = Parameter("every", "length", "100it")
_DROP = Parameter("drop", "share", "30%", "30%")
_UNTIL = Parameter("until", "share", "75%", "75%")
_FLOOR = Parameter("floor", "number", "1e-6")
_NOISE = (Parameter("0", "share", "20%", is_required=True),)
_MOVEMENT = (Parameter("score_lr", "positive", "1e-2", "1e-2"),)
_SPARSEGPT = (_SAMPLES, Parameter("block", "whole", "128", "128"), Parameter("damp", "positive", "0.01", "0.01"))

SCORES = (
    Option(
        "magnitude",
        (Parameter("order", "choice", "largest", "smallest", ("smallest", "largest")),),
        source="Han et al. 2015; Algorithm 1 of Han et al. 2017",
    ),
    Option("random", source="the control of Frankle & Carbin 2019"),
    Option("gradient", (_BATCHES,), source="the score of new weights in Evci et al. 2020"),
    Option("snip", (_BATCHES,), source="Lee et al. 2019"),
    Option(
        "grasp",
        (_BATCHES, Parameter("T", "positive", "200", "200")),
        source="Wang et al. 2020",
    ),
    Option("synflow", (Parameter("rounds", "whole", "100", "100"),), source="Tanaka et al. 2020"),
    Option("taylor", (_BATCHES._replace(default="8"),), source="Molchanov et al. 2019"),
    Option("fisher", (_BATCHES._replace(default="8"),), source="Theis et al. 2018"),
    Option("movement", _MOVEMENT, source="Sanh et al. 2020"),
    Option("wanda", (_SAMPLES,), source="Sun et al. 2023"),
    Option("sparsegpt", _SPARSEGPT, source="Frantar & Alistarh 2023"),
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
    Option("row", source="He et al. 2014"),
    Option("filter", source="Li et al. 2017"),
    Option("channel", source="He et al. 2017"),
    Option(
        "block",
        (Parameter("0", "whole", "4", is_required=True), Parameter("1", "whole", "1", is_required=True)),
        source="Narang et al. 2017",
    ),
)
SCOPES = (
    Option("layer"),
    Option("global"),
    Option("row", source="Sun et al. 2023"),
    Option("group"),
)
ALLOCATIONS = (
    Option("uniform"),
    Option("erk", source="Evci et al. 2020"),
    Option("er", source="Mocanu et al. 2018"),
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
        (_DROP._replace(is_required=True), _EVERY._replace(is_required=True), _UNTIL._replace(default="100%")),
        source="Mocanu et al. 2018; the falling share of Evci et al. 2020",
    ),
    Option("rigl", (_DROP, _EVERY, _UNTIL), source="Evci et al. 2020"),
    Option("magnitude", (_EVERY, _UNTIL._replace(default="100%")), source="Jin et al. 2016 (hard thresholding)"),
)
ENFORCEMENTS = (
    Option("hard", source="Han et al. 2015"),
    Option("ste", source="Bengio et al. 2013"),
    Option("srste", (Parameter("decay", "number", "2e-4", "2e-4"),), source="Zhou et al. 2021"),
    Option("topkast", (Parameter("backward", "share", "50%", "50%"), _EVERY), source="Jayakumar et al. 2020"),
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
