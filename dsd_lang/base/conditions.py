"""The registry of the functions in `until` and `expect`: `plateau(val.loss)`, `gain(val.err) < 0.1`."""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.options import Parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class ConditionFunction(NamedTuple):
    """One function of a metric. If ``is_condition``, it is a condition by itself; else it is a number to be compared.

    ``needs_loop``: it compares the rounds of a loop, and is never true outside of one. ``statement``: a training is
    watched by `until`, its end is judged by `expect`.
    """

    name: str
    is_condition: bool
    needs_loop: bool
    meaning: str
    parameters: tuple[Parameter, ...] = ()
    statement: Literal["until", "expect"] = "until"

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


CONDITION_FUNCTIONS: dict[str, ConditionFunction] = {
    function.name: function
    for function in (
        ConditionFunction(
            "plateau",
            True,
            False,
            "`patience` evaluations in a row improved on the best by no more than `delta`",
            (Parameter("patience", "whole", "3"), Parameter("delta", "number", "1e-3")),
        ),
        ConditionFunction(
            "falling",
            True,
            True,
            "the metric fell in each of the last `rounds` rounds of a loop",
            (Parameter("rounds", "whole", "2"),),
        ),
        ConditionFunction("gain", False, True, "on a loop: how much the last round improved the metric"),
        ConditionFunction("drop", False, True, "on a loop: how far the last round's end is below the best before it"),
        ConditionFunction("mean", False, False, "the mean over the seeds of a branch", statement="expect"),
        ConditionFunction(
            "p", False, False, "the p value of a comparison: `p(a vs b on=test.err)`", statement="expect"
        ),
    )
}
