"""`Results`: everything that a run measured and what its schedule asked, as data. Written to `results.json`."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, PrivateAttr, ValidationError
from pydantic_core import core_schema

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.results.parts import (
    ComparisonResult,
    Cost,
    ExpectationResult,
    MetricRow,
    PhaseResult,
    Provenance,
    ResultPart,
    WeightHistogram,
)

RESULTS_VERSION = 1


class MetricRows(tuple[MetricRow, ...]):
    """All measurements in long form: node, epoch and update within the phase, name, value."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(tuple[MetricRow, ...]))

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, one row a measurement; raises :class:`DsdError` where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise DsdError("`to_pandas()` needs pandas", help="run `pip install pandas`") from None
        return pandas.DataFrame([row.model_dump() for row in self], columns=list(MetricRow.model_fields))


class Results(ResultPart):
    """The answer of a run, half-finished ones included; `notes` says what is missing or damaged.

    Made by :func:`dsd_runtime.read_results`; `to_json()` and `from_json()` keep everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: Literal[1] = Field(default=1, alias="dsd_results")
    """The version of this format."""
    run: str
    """The name of the run folder."""
    finished: bool = False
    """Whether every phase is trained or skipped."""
    phases: tuple[PhaseResult, ...] = ()
    comparisons: tuple[ComparisonResult, ...] = ()
    expectations: tuple[ExpectationResult, ...] = ()
    cost: Cost = Cost()
    provenance: Provenance
    notes: tuple[str, ...] = ()
    """What is missing or damaged in the run folder, in sentences."""
    metrics: MetricRows = MetricRows()
    """One row a measurement, the training's own `loss` and `lr` included; `seconds` is the time of a node."""
    weights: tuple[WeightHistogram, ...] = ()
    """The distributions of the weights at both sides of each boundary."""

    _plan: Plan | None = PrivateAttr(default=None)

    @property
    def holds(self) -> bool:
        """False when an `expect` failed, or was not decided by a run that is finished."""
        return not any(one.holds is False or (one.holds is None and self.finished) for one in self.expectations)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """One sentence for each `compare` and each `expect`, in the order of the schedule; without any, the summary."""
        if not self.comparisons and not self.expectations:
            return () if self.summary is None else (self.summary,)
        return (*(item.verdict for item in self.comparisons), *(item.verdict for item in self.expectations))

    @property
    def summary(self) -> str | None:
        """What was measured, in one sentence, without a test; None before anything was."""
        from dsd_runtime.results.summaries import summary_of  # a summary is made of results

        return summary_of(self)

    def to_json(self, *, indent: int | None = 1) -> str:
        """Everything as JSON; numbers that are not finite are null."""
        return self.model_dump_json(by_alias=True, indent=indent) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Reads :meth:`to_json`, also of earlier versions of dsd; raises :class:`DsdError` for anything else."""
        _require_known_version(text)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise DsdError(
                f"this is not a version {RESULTS_VERSION} results file: at `{where}`: {first['msg']}",
                help="write it again with `dsd-report RUN --format json`",
            ) from None

    def to_pandas(self) -> Any:
        """`metrics.to_pandas()`."""
        return self.metrics.to_pandas()

    def figure(self, name: str) -> dict[str, Any]:
        """A figure of the report as a Vega-Lite specification with its data: `sensitivity`, `tickets`, `curve val.err`.

        Notebooks draw it. Raises :class:`DsdError` naming those that this run has.
        """
        from dsd_runtime.results.figures import figure_of  # a figure is made of results
        from dsd_runtime.results.notebook import ShownFigure

        return ShownFigure(figure_of(self, name).spec)

    def with_plan(self, plan: Plan) -> Results:
        """The same results, whose timeline a notebook shows; the plan itself is not part of the data."""
        drawn = self.model_copy()
        drawn._plan = plan
        return drawn

    def __eq__(self, other: object) -> bool:
        """Whether all data are equal."""
        return isinstance(other, Results) and self.__dict__ == other.__dict__

    def _repr_html_(self) -> str:
        """The verdicts, the table and the timeline, for notebooks."""
        from dsd_runtime.results.notebook import results_html

        return results_html(self, self._plan)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        """One line: the run, how much of it is trained, and the verdicts."""
        done = sum(phase.state in ("trained", "skipped") for phase in self.phases)
        verdicts = f"; {'; '.join(self.verdicts)}" if self.verdicts else ""
        return f"<Results of {self.run}: {done} of {len(self.phases)} phases{verdicts}>"


def schema_text() -> str:
    """The JSON Schema of `results.json`."""
    return json.dumps(Results.model_json_schema(), indent=2) + "\n"


def _require_known_version(text: str) -> None:
    """Raises :class:`DsdError` for results of a newer version; what is no results file at all is said elsewhere."""
    try:
        version = json.loads(text)["dsd_results"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if isinstance(version, int) and version > RESULTS_VERSION:
        raise DsdError(
            f"this is a version {version} results file, and this dsd reads up to version {RESULTS_VERSION}",
            help="upgrade dsd-lang, or write it again from the run folder with `dsd-report RUN --format json`",
        )
