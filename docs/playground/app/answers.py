"""Answers the playground's questions, both as JSON: diagnostics, rows and pictures of the plan, formatted text.

The page displays these answers and has no knowledge of the language itself. They are computed by the functions of
`dsd-lint`, `dsd-fmt`, `dsd-plan` and `dsd-lsp`, with one more limit: a program with very many phases is refused,
because a browser has little space for it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from answer_parts import (
    Answer,
    Places,
    diagnostic_shown,
    offer_shown,
    place_of,
    rows_shown,
    totals_shown,
    weighed,
)

from dsd_lang.base.diagnostics import CATALOGUE, Diagnostic
from dsd_lang.base.errors import DsdError
from dsd_lang.cli.flags import Given
from dsd_lang.cli.installed import model_layers
from dsd_lang.cli.plan_source import Compiled, circumstances_of, compiled
from dsd_lang.lint.checking import check_text
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.measure_program import count_phases, is_measurable
from dsd_lang.syntax.parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.base.layers import LayerInfo
    from dsd_lang.lsp.documents import Document

MAX_PHASES = 1_000
MAX_CHARACTERS = 200_000
MAX_DIAGNOSTICS = 200
MAX_ROWS = 300
_NAME = re.compile(r"[\w-]+\.dsd")
_DEFAULT_CODES = frozenset(entry.code for entry in CATALOGUE.values() if entry.default)


class Question(NamedTuple):
    """A question about a text; ``model`` is the name of a model to check against, ``width`` that of a picture.

    ``name`` is the text's file, and ``files`` are the texts of those beside it, which it may use, by name.
    ``line`` and ``character`` are a position as editors count it: both from 0, characters in UTF-16 units.
    """

    ask: str
    text: str = ""
    model: str | None = None
    width: int = 800
    line: int = 0
    character: int = 0
    name: str = "playground.dsd"
    files: Mapping[str, str] = {}


def answer(question: str) -> str:
    """The entry point: a JSON object with the question, to a JSON object. A user's mistake is a `problem` in it."""
    asked = Question(**json.loads(question))
    try:
        with _beside(asked.files):
            reply = ANSWERS[asked.ask](asked)
    except DsdError as error:
        reply = {"problem": {"message": error.message, "help": error.help}}
    return json.dumps(reply, ensure_ascii=False)


def check(asked: Question) -> Answer:
    """All diagnostics of the text."""
    places = Places(asked.text)
    found = _diagnostics(asked, asked.text)
    shown = [diagnostic_shown(diagnostic, places) for diagnostic in found[:MAX_DIAGNOSTICS]]
    return {"findings": shown, "left_out": len(found) - len(shown)}


def plan(asked: Question) -> Answer:
    """The resolved plan: rows, totals, the timeline as a picture; None if the text has errors or no phase."""
    found = _compiled(asked)
    if found is None or not found.plan.phases:
        return {"plan": None}
    from dsd_lang.views.timeline_svg import timeline_picture

    resolved, places = found.plan, Places(asked.text)
    counts, densities = weighed(found)
    picture = timeline_picture(resolved, asked.width, densities)
    headers, rows = rows_shown(resolved)
    shown = [
        {"cells": cells, "mode": phase.mode, **place_of(phase, places)}
        for cells, phase in zip(rows[:MAX_ROWS], resolved.phases, strict=False)
    ]
    return {
        "plan": {
            "headers": headers,
            "rows": shown,
            "left_out": len(rows) - len(shown),
            "is_derived": any(phase.derived for phase in resolved.phases),
            "counts": counts,
            "totals": totals_shown(found),
            "timeline": picture.svg,
            "notes": picture.notes,
            "has_rates": picture.has_rates,
        }
    }


def graph(asked: Question) -> Answer:
    """The phase graph as a picture."""
    from dsd_lang.views.graph import PhaseGraph

    found = _compiled(asked)
    return {"graph": None if found is None else PhaseGraph(found.plan).to_svg()}


def plan_json(asked: Question) -> Answer:
    """The output of `dsd-plan --json`."""
    found = _compiled(asked)
    return {"json": None if found is None else found.plan.to_json() + "\n"}


def format(asked: Question) -> Answer:
    """The text in canonical form."""
    from dsd_lang.formatting import formatted

    _refuse_large(asked.text)
    return {"text": formatted(asked.text).text}


def fix(asked: Question) -> Answer:
    """The text after all safe fixes, applied repeatedly."""
    from dsd_lang.lint.fixes import mend

    mended = mend(asked.text, lambda text: _diagnostics(asked, text), unsafe=False)
    return {"text": mended.text, "num_applied": len(mended.applied)}


def complete(asked: Question) -> Answer:
    """The language server's completions at a position."""
    from lsprotocol import types

    from dsd_lang.lsp.completion import completion

    document = _document(asked)
    place = types.Position(asked.line, asked.character)
    found = completion(document, types.CompletionParams(types.TextDocumentIdentifier(""), place))
    return {"offers": [offer_shown(item) for item in found.items]}


def hover(asked: Question) -> Answer:
    """The language server's hover at a position, in Markdown; None if there is none."""
    from lsprotocol import types

    from dsd_lang.lsp.hover import hover as meaning

    place = types.Position(asked.line, asked.character)
    found = meaning(_document(asked), types.HoverParams(types.TextDocumentIdentifier(""), place))
    if found is None:
        return {"page": None}
    assert isinstance(found.contents, types.MarkupContent), "the server answers in Markdown"
    return {"page": found.contents.value}


def models(asked: Question) -> Answer:
    """The models whose layers are known here."""
    from dsd_runtime.models.catalogue import MODELS

    return {"models": [{"name": spec.name, "summary": spec.summary} for spec in MODELS.values()]}


ANSWERS: Mapping[str, Callable[[Question], Answer]] = {
    "check": check,
    "plan": plan,
    "graph": graph,
    "json": plan_json,
    "format": format,
    "fix": fix,
    "complete": complete,
    "hover": hover,
    "models": models,
}


def _diagnostics(asked: Question, text: str) -> tuple[Diagnostic, ...]:
    _refuse_large(text)
    return check_text(text, selected=_DEFAULT_CODES, layers=_layers(asked), source=asked.name)


def _layers(asked: Question) -> tuple[LayerInfo, ...] | None:
    return None if asked.model is None else model_layers(asked.model)


def _compiled(asked: Question) -> Compiled | None:
    _refuse_large(asked.text)
    values = {} if asked.model is None else {"--model": [asked.model]}
    found = compiled(asked.text, asked.name, circumstances_of(Given(values, [])))
    return None if isinstance(found, tuple) else found


def _document(asked: Question) -> Document:
    """The text as a document of the language server."""
    from dsd_lang.lsp.documents import Document
    from dsd_lang.lsp.settings import ClientSettings

    _refuse_large(asked.text)
    return Document(
        Path(asked.name).absolute().as_uri(), None, asked.text, settings=ClientSettings(layers=_layers(asked))
    )


@contextmanager
def _beside(files: Mapping[str, str]) -> Iterator[None]:
    """Has the files in the working folder, as the tools read them."""
    for name, text in files.items():
        if not _NAME.fullmatch(name):
            raise DsdError(f"`{name}` is not the name of a schedule", help="call it for instance `common.dsd`")
        _refuse_large(text)
    before = Path.cwd()
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, text in files.items():
                Path(name).write_text(text, encoding="utf-8")
            yield
        finally:
            os.chdir(before)


def _refuse_large(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise DsdError(
            f"the schedule has {len(text):,} characters, and this page compiles at most {MAX_CHARACTERS:,}",
            help="`dsd-plan` on your own machine has no such limit",
        )
    program = parse(text).program
    diagnostics = Diagnostics()
    if not is_measurable(program, diagnostics):
        return
    count = count_phases(program, diagnostics)
    if count is not None and count > MAX_PHASES:
        raise DsdError(
            f"the schedule expands to {count:,} phases, and this page compiles at most {MAX_PHASES:,}",
            help="`dsd-plan` on your own machine goes up to 100,000",
        )
