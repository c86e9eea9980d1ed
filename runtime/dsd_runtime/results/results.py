"""`Results`: everything that a run measured and what its schedule asked, as data. Written to `results.json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from dsd_lang.base.errors import DsdError
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


class Results(ResultPart):
    """The answer of a run, half-finished ones included; `notes` says what is missing or damaged.

    Made by :func:`dsd_runtime.read_results`; `to_json()` and `from_json()` keep everything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: Literal[1] = Field(default=1, alias="dsd_results")
    run: str
    finished: bool = False
    phases: tuple[PhaseResult, ...] = ()
    comparisons: tuple[ComparisonResult, ...] = ()
    expectations: tuple[ExpectationResult, ...] = ()
    cost: Cost = Cost()
    provenance: Provenance
    notes: tuple[str, ...] = ()
    metrics: tuple[MetricRow, ...] = ()
    weights: tuple[WeightHistogram, ...] = ()

    @property
    def holds(self) -> bool:
        """False when an `expect` failed, or was not decided by a run that is finished."""
        return not any(one.holds is False or (one.holds is None and self.finished) for one in self.expectations)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """One sentence for each `compare` and each `expect`, in the order of the schedule."""
        return (*(item.verdict for item in self.comparisons), *(item.verdict for item in self.expectations))

    def to_json(self, *, indent: int | None = 1) -> str:
        """Everything as JSON; numbers that are not finite are null."""
        return self.model_dump_json(by_alias=True, indent=indent) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Reads :meth:`to_json`; raises :class:`DsdError` for anything else."""
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
        """The metrics in long form as a `pandas.DataFrame`; raises :class:`DsdError` where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise DsdError("`to_pandas()` needs pandas", help="run `pip install pandas`") from None
        return pandas.DataFrame([row.model_dump() for row in self.metrics], columns=list(MetricRow.model_fields))

    def figure(self, name: str) -> dict[str, Any]:
        """A figure of the report as a Vega-Lite specification with its data: `sensitivity`, `tickets`, `curve val.err`.

        Notebooks draw it. Raises :class:`DsdError` naming those that this run has.
        """
        from dsd_runtime.results.figures import figure_of  # a figure is made of results
        from dsd_runtime.results.notebook import ShownFigure

        return ShownFigure(figure_of(self, name).spec)

    def _repr_html_(self) -> str:
        """The verdicts and the table, for notebooks."""
        from dsd_runtime.results.notebook import results_html

        return results_html(self)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        """One line: the run, how much of it is trained, and the verdicts."""
        done = sum(phase.state in ("trained", "skipped") for phase in self.phases)
        verdicts = f"; {'; '.join(self.verdicts)}" if self.verdicts else ""
        return f"<Results of {self.run}: {done} of {len(self.phases)} phases{verdicts}>"
