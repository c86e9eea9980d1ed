"""Completion items for names: selectors, references, branches, metrics, variables."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.arms import split_path
from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.layers import KINDS, PARTS, RECURRENT_KINDS, ROLES, Selector, covers
from dsd_lang.base.metrics import FULL_NAMES, metric_meaning
from dsd_lang.lsp import meanings
from dsd_lang.lsp.cursor import Cursor
from dsd_lang.lsp.definitions import KINDS_IN_WORDS, Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.let_values import arms_of
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.word import Word
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token

_LATER = "500it"


def selector_offers(document: Document, cursor: Cursor) -> Iterator[Offer]:
    """Kinds, roles and parts of recurrent layers; with a model its layers by name."""
    ending = ": ${1:50%}" if cursor.words[-1:] == ("LSQB",) or _is_in_list(cursor) else ""
    parts = tuple(f"{kind}.{part}" for kind in (*RECURRENT_KINDS, "birnn") for part in PARTS)
    taken = _listed(cursor) if ending else ()
    row = BY_NAME.get(cursor.argument or "")
    if row is not None and row.selects_nothing(["none"]) and cursor.words[-1:] != ("COMMA",):
        yield Offer("none", detail="no layer", kind=types.CompletionItemKind.EnumMember)
    for word in (*KINDS, *ROLES, *parts):
        if any(covers(selector, Selector("word", word)) for selector in taken):
            continue  # an earlier item of the list has all its weights
        yield Offer(
            word,
            word + ending if ending else "",
            f"{word}: 50%" if ending else "",
            detail=meanings.selector_meaning(word) or "",
            kind=types.CompletionItemKind.EnumMember,
        )


def _is_in_list(cursor: Cursor) -> bool:
    """Whether the selector is at the start of an item of a list target."""
    kinds = [item.kind if isinstance(item, Token) else "" for item in cursor.items]
    return "LSQB" in kinds and "RSQB" not in kinds and cursor.argument is None


def _listed(cursor: Cursor) -> tuple[Selector, ...]:
    """The selectors of the items of a list target before the cursor."""
    found = [part for item in cursor.items for part in (item if isinstance(item, list) else [item])]
    return tuple(part.selector.selector for part in found if isinstance(part, nodes.SelectorTarget))


def reference_offers(document: Document, cursor: Cursor, word: Word) -> Iterator[Offer]:
    """`@init` and the labels before the cursor; after a dot, the names inside and the moments."""
    row = BY_NAME.get(cursor.argument or "")
    if not cursor.takes("REFERENCE") or row is None or row.kind not in ("source", "distill") or cursor.call is not None:
        return
    path = split_path(word.typed[1:])[:-1]
    if path:
        yield from _inside_reference(document, cursor, word, path)
        return
    yield _reference("@init", meanings.INIT)
    for definition in _visible(document, cursor, word):
        seed = ".seed0" if _needs_seed(definition, word) else ""
        names = arms_of(document, definition) if definition.kind == "sweep" else [f"{definition.name}{seed}"]
        yield from (_reference(f"@{name}", _what(definition)) for name in names)


def _visible(document: Document, cursor: Cursor, word: Word) -> list[Definition]:
    own = cursor.label.span if cursor.label is not None else None
    return [item for item in document.labels.visible_at(word.start) if item.span != own]


def _inside_reference(document: Document, cursor: Cursor, word: Word, path: list[str]) -> Iterator[Offer]:
    first, *others = path
    label = first.partition("[")[0]
    definition = next((item for item in _visible(document, cursor, word) if item.name == label), None)
    for name in others:
        scope = document.labels.inside(definition) if definition is not None else None
        if not name.startswith("seed") and scope is not None:
            definition = next((item for item in scope.definitions if item.name == name), None)
    if definition is None or "init" in path:
        return
    start = "@" + ".".join(path)
    if _needs_seed(definition, word) and not path[-1].startswith("seed"):
        for seed in range(min(definition.num_seeds, 10)):
            yield _reference(f"{start}.seed{seed}", "the branch trained with this seed")
        return
    for moment, meaning in meanings.MOMENT_MEANINGS.items():
        yield _reference(f"{start}.{moment}", meaning)
    yield _reference(f"{start}.{_LATER}", meanings.LATER, f"{start}.${{1:{_LATER}}}")
    scope = document.labels.inside(definition)
    for inner in scope.definitions if scope is not None else ():
        yield _reference(f"{start}.{inner.name}", _what(inner))


def _needs_seed(definition: Definition, word: Word) -> bool:
    """Whether a reference needs a seed: a branch of another fork with several seeds."""
    fork = definition.fork
    return definition.num_seeds > 0 and fork is not None and not fork.span.start <= word.start < fork.span.end


def _reference(text: str, meaning: str, snippet: str = "") -> Offer:
    return Offer(text, snippet, detail=meaning, kind=types.CompletionItemKind.Reference)


def _what(definition: Definition) -> str:
    where = f"of `{definition.file}`" if definition.file else f"on line {definition.span.line}"
    return f"{KINDS_IN_WORDS[definition.kind].replace('a ', 'the ', 1)} {where}"


def condition_offers(document: Document, cursor: Cursor, word: Word) -> Iterator[Offer]:
    """Branches after `compare` and `vs`; metrics and functions in a condition; a metric after `on=`."""
    if _is_arm(cursor):
        if cursor.call is None and not cursor.items:
            sweeps = (item for item in document.labels.arms_at(word.start) if item.kind == "sweep")
            yield from (_branch(item.name, item) for item in sweeps if arms_of(document, item)[1:])
        yield from (_branch(name, definition) for name, definition in _branches(document, word))
    elif cursor.takes("NUMBER") and not cursor.takes("SELECTING") and (cursor.argument == "on" or _watches(cursor)):
        yield from (_metric(name) for name in FULL_NAMES)
    elif cursor.clause is not None and cursor.takes("NUMBER") and not cursor.takes("SELECTING"):
        if cursor.statement == "EXPECT":
            yield from _arm_metrics(document, word)
            yield from _functions_of_ends(document, word)
        else:
            yield from _tests(cursor)
            yield from (_metric(name) for name in FULL_NAMES)


def _is_arm(cursor: Cursor) -> bool:
    """Whether a branch is expected: after `compare` and `vs`, and in `p(...)`."""
    if cursor.call == "p" and cursor.argument is None:
        return cursor.takes("DOTTED")
    return cursor.statement == "COMPARE" and cursor.takes("DOTTED") and not cursor.takes("NUMBER")


def _functions_of_ends(document: Document, word: Word) -> Iterator[Offer]:
    """`p(...)` and `mean(...)`, with branches that there are."""
    names = [name for name, _ in _branches(document, word)]
    if not names:
        return
    inside = {
        "p": f"${{1:{names[-1]}}} vs ${{2:{names[0]}}} on=${{3:test.err}}",
        "mean": f"${{1:{names[0]}.test.err}}",
    }
    for name, arguments in inside.items():
        yield Offer(
            name,
            f"{name}({arguments})",
            f"{name}(",
            detail=CONDITION_FUNCTIONS[name].meaning,
            kind=types.CompletionItemKind.Function,
        )


def _watches(cursor: Cursor) -> bool:
    """Whether the cursor is at the first argument of a condition function."""
    return cursor.call in CONDITION_FUNCTIONS and cursor.argument is None and not cursor.items


def _tests(cursor: Cursor) -> Iterator[Offer]:
    """Functions such as `plateau(...)`: conditions where one may begin; those that compare rounds only on a loop."""
    for name, function in CONDITION_FUNCTIONS.items():
        if function.statement != "until":
            continue
        if (function.is_condition and cursor.clause) or (function.needs_loop and cursor.statement != "REPEAT"):
            continue
        metric = "val.err" if function.needs_loop else "val.loss"
        tail = "" if function.is_condition or cursor.clause else " < ${2:0.1}"
        first = next(iter(function.parameters), None)
        inside = f", {first.name}=${{2:{first.example}}}" if first is not None else ""
        yield Offer(
            name,
            f"{name}(${{1:{metric}}}{inside}){tail}",
            f"{name}(",
            detail=function.meaning,
            kind=types.CompletionItemKind.Function,
        )


def _arm_metrics(document: Document, word: Word) -> Iterator[Offer]:
    typed = ".".join(split_path(word.typed)[:-1])
    for name, _ in _branches(document, word):
        shown = FULL_NAMES if typed.startswith(name) else [one for one in FULL_NAMES if one.startswith("test.")]
        yield from (_metric(f"{name}.{metric}", metric) for metric in shown)
    yield from (_metric(name) for name in FULL_NAMES)


def _branches(document: Document, word: Word) -> Iterator[tuple[str, Definition]]:
    """The branches that can be named at the cursor, the arms of sweeps, and the branches directly inside them."""
    for definition in document.labels.arms_at(word.start):
        if definition.kind == "sweep":
            yield from ((name, definition) for name in arms_of(document, definition))
            continue
        yield definition.name, definition
        scope = document.labels.inside(definition)
        for inner in scope.definitions if scope is not None else ():
            if inner.kind == "branch":
                yield f"{definition.name}.{inner.name}", inner


def _branch(name: str, definition: Definition) -> Offer:
    return Offer(name, detail=_what(definition), kind=types.CompletionItemKind.Module)


def _metric(name: str, metric: str = "") -> Offer:
    return Offer(name, detail=metric_meaning(metric or name) or "", kind=types.CompletionItemKind.Value)
