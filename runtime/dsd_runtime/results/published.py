"""The published numbers in a schedule's claim, beside the phases that they are of, where that is beyond doubt.

Three forms are read: `29.82, 27.90, 27.90 after each phase, baseline 28.03`; `31.14/10.96 dense, 30.58/10.58 sparse,
30.02/10.34 DSD; lower learning rate alone 30.20/10.41`; `3.06% after D1, 2.68% after S1`. Of anything else a report
shows the claim as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from dsd_lang.plan.seeds import arm_of
from dsd_runtime.results.head_comment import Paragraph, head_paragraphs
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import row_name

_NUMBER = r"\d+(?:\.\d+)?%?(?:/\d+(?:\.\d+)?)*"
_EACH_PHASE = re.compile(
    rf"(?P<what>[^;]*?)(?P<values>{_NUMBER}(?:, {_NUMBER})+)(?: after each phase)?"
    rf"(?:, [a-z ]+? (?P<other>{_NUMBER}))?[.;]"
)
_BY_NAME = re.compile(
    rf"(?P<what>[^;]*?)(?P<values>{_NUMBER} dense, {_NUMBER} sparse, {_NUMBER} DSD)(?:; [a-z ]+? (?P<other>{_NUMBER}))?"
)
_LONGEST = 2000
_AFTER = re.compile(rf"(?P<value>{_NUMBER}) after (?P<label>\w+)")


class Published(NamedTuple):
    """A column of published numbers: what they are of, and each by the id of its phase."""

    what: str
    values: Mapping[str, str]


def published(results: Results) -> list[Published]:
    """The columns that a schedule's claims give."""
    claims = [part for part in head_paragraphs(results.provenance.schedule_text or "") if part.kind == "Claim"]
    return [column for claim in claims if _is_of(claim, results) for column in _columns(claim, results.phases)]


def _is_of(claim: Paragraph, results: Results) -> bool:
    """Whether a claim is of the run's model: it names none, or that one."""
    model = (results.provenance.model or "").partition(":")[0]
    return not claim.of or _letters(claim.of) == _letters(model)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _columns(claim: Paragraph, phases: Sequence[PhaseResult]) -> Iterator[Published]:
    text = claim.text.partition(": ")[2][:_LONGEST]
    by_label = {match["label"]: match["value"] for match in _AFTER.finditer(text)}
    ids = {row_name(phase): phase.id for phase in phases if not phase.seed}
    if by_label and by_label.keys() <= ids.keys():
        yield Published("", {ids[label]: value for label, value in by_label.items()})
        return
    named = _BY_NAME.search(text)
    lists = [named] if named is not None else list(_EACH_PHASE.finditer(text)) if "after each phase" in text else []
    for match in lists:
        values = re.findall(_NUMBER, match["values"])
        line = _line(phases, len(values), is_dsd=named is not None)
        if line is not None:
            found = {phase.id: value for phase, value in zip(line, values, strict=True)}
            yield Published(match["what"].strip(), found | _of_other_arm(phases, line, match["other"]))


def _line(phases: Sequence[PhaseResult], length: int, *, is_dsd: bool) -> list[PhaseResult] | None:
    """The only line of so many phases in which weights are pruned (dense, sparse, dense)."""
    lines = [line for line in _lines(phases) if len(line) == length and any(phase.mode == "sparse" for phase in line)]
    if is_dsd:
        lines = [line for line in lines if [phase.mode for phase in line] == ["dense", "sparse", "dense"]]
    return lines[0] if len(lines) == 1 else None


def _lines(phases: Sequence[PhaseResult]) -> list[list[PhaseResult]]:
    """From the first phase to each last one; the first seed alone."""
    first = [phase for phase in phases if not phase.seed]
    by_id = {phase.id: phase for phase in first}
    parents = {phase.parent for phase in first}
    lines: list[list[PhaseResult]] = []
    for phase in first:
        if phase.id not in parents:
            line = [phase]
            while (parent := by_id.get(line[0].parent or "")) is not None:
                line.insert(0, parent)
            lines.append(line)
    return lines


def _of_other_arm(phases: Sequence[PhaseResult], line: Sequence[PhaseResult], value: str | None) -> dict[str, str]:
    """The number of the arm that the line is compared with, if there is exactly one other."""
    others = [other for other in _lines(phases) if arm_of(other[-1].path) != arm_of(line[-1].path)]
    return {others[0][-1].id: value} if value is not None and len(others) == 1 else {}
