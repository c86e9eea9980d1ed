"""The comment at the head of a schedule as paragraphs: what it is, its `Source:`, its `Claim:`, how to run it."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

Kind = Literal["", "Source", "Claim", "Run"]
_HEAD = re.compile(r"(?P<kind>Source|Claim|Run)(?:, (?P<of>[^:]+)| \([^:]*\))?: ")


class Paragraph(NamedTuple):
    """A paragraph with its kind; a claim may be of one model (`Claim, ResNet-18:`)."""

    kind: Kind
    of: str
    text: str


def head_paragraphs(schedule: str) -> list[Paragraph]:
    """The paragraphs, in order; suppressions (`# dsd: ignore`) are none.

    >>> [found] = head_paragraphs("# Claim, ResNet-18: it is\\n#   better.\\ndense 1ep lr=0.1")
    >>> found
    Paragraph(kind='Claim', of='ResNet-18', text='Claim, ResNet-18: it is better.')
    """
    found: list[Paragraph] = []
    for line in schedule.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("#").strip()
        if not words or words.startswith("dsd:"):
            continue
        head = _HEAD.match(f"{words} ")
        if head is not None:
            found.append(Paragraph(cast(Kind, head["kind"]), head["of"] or "", words))
        elif found:
            found[-1] = found[-1]._replace(text=f"{found[-1].text} {words}")
        else:
            found.append(Paragraph("", "", words))
    return found
