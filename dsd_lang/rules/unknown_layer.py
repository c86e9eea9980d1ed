"""A selector does not match a kind, role or layer.

What it does
------------
Reports a word in `layers=`, `except=`, `freeze=`, a list target or `lr=[...]` that is neither a kind (`conv fc rnn lstm
gru birnn embed norm attention`) nor a role (`first_conv output ctc prunable all`). If a model is given (`--model`,
`--layers`), every selector, including globs and regular expressions, must match at least one of its layers, and a word
in `layers=` must match a weight that is not frozen. A weight that the model computes from others (`weight_norm`) cannot
be selected. Also reports items of a list target or of `lr=[...]` that can match no weight (`layers=` or `except=`
excludes it, or earlier items match all its weights), and a `freeze=` that leaves nothing to train.

Why is this bad
---------------
A selector that matches nothing would silently leave a layer dense, and the experiment would not be the intended one.

Example
-------
::

    sparse 50% layers=fc,birn 50ep

Use instead
-----------
::

    sparse 50% layers=fc,birnn 50ep

Fix safety
----------
Unsafe: the nearest name is a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.computed_weights import refusal
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.layers import (
    KINDS,
    PARTS,
    RECURRENT_KINDS,
    ROLES,
    LayerInfo,
    describe_inventory,
    match,
    parse_selector,
    select,
    trained_together,
    why_nothing,
)
from dsd_lang.plan.fitting import unreachable_items
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.named_selectors import selectors_of
from dsd_lang.syntax.terminals import SELECTING_WORDS
from dsd_lang.syntax.walk import values_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from dsd_lang.passes.draft import Draftbook

    Use = Literal["pruned", "excluded", "trained"]
    """What a selector is for: `layers=`, a list target; `except=`; `freeze=` or `lr=[...]`, which take whole layers."""


CODE = "DSD201"


_USES: dict[str, Use] = {"layers": "pruned", "except": "excluded", "freeze": "trained"}


def check_words(subject: Subject) -> None:
    """Checks every selector in the statements; one that is a name is checked where it is used."""
    for selector, use in _selectors(subject):
        if not is_name(selector, subject):
            _check(subject, selector, use)


def is_name(node: nodes.SelectorNode, subject: Subject) -> bool:
    """Whether a selector is a word that the program, or a file that it uses, may give a value."""
    word = node.selector.text
    if node.selector.form != "word" or word in KINDS or word in ROLES:
        return False
    return word in subject.names or (subject.uses_files and word.isidentifier())


def _check(subject: Subject, selector: nodes.SelectorNode, use: Use) -> None:
    if subject.layers is not None:
        matches = trained_together if use == "trained" else match
        frozen = why_nothing(selector.selector, subject.layers) if use == "pruned" else None
        if frozen is not None:
            message, advice = frozen
            subject.diagnostics.add(CODE, message, selector.span, label="all frozen", help=advice)
        elif not matches(selector.selector, subject.layers):
            _report(subject, selector, _names(subject.layers), f"this model has: {describe_inventory(subject.layers)}")
    elif selector.selector.form == "word" and not _is_known(selector.selector.text):
        kinds, roles = ", ".join(KINDS), ", ".join(ROLES)
        _report(subject, selector, (), f"kinds are: {kinds}; roles are: {roles}; names of layers are written in quotes")


def check(subject: Subject) -> None:
    """Checks what the phases select."""
    for selector, use in _named(subject):
        _check(subject, selector, use)
    if subject.book is not None:
        _check_lists(subject, subject.book)
    if subject.layers is not None and subject.book is not None:
        _check_selections(subject, subject.layers, subject.book)


def _check_lists(subject: Subject, book: Draftbook) -> None:
    """Checks that every item of every list target matches some weight."""
    for draft in book.phases:
        written = draft.target_node
        target = draft.target
        if target is None or target["kind"] != "list" or not isinstance(written, nodes.ListTarget):
            continue
        items = tuple(item["selector"] for item in target["items"])
        for misfit in unreachable_items(draft.layers, draft.exclude, items, subject.layers):
            assert misfit.item is not None, "a list's misfit names its item"
            span = written.items[misfit.item].selector.span
            subject.diagnostics.add(CODE, misfit.message, span, label="takes no weight", help=misfit.help)


def _check_selections(subject: Subject, layers: Sequence[LayerInfo], book: Draftbook) -> None:
    """Checks that every sparse phase prunes something in the model."""
    seen: set[tuple[tuple[str, ...], tuple[str, ...]]] = set()
    for draft in book.phases:
        selection = (draft.layers, draft.exclude)
        if draft.mode != "sparse" or selection in seen:
            continue
        seen.add(selection)
        include, exclude = (tuple(parse_selector(text) for text in texts) for texts in selection)
        chosen, missing = select(include, exclude, layers)
        refused = refusal(chosen)
        if refused is not None:
            subject.diagnostics.add(CODE, refused[0], draft.node.mode_span, label="cannot be masked", help=refused[1])
        if draft.target_node is not None and isinstance(draft.target_node, nodes.ListTarget):
            continue  # reported for the list's items
        if not chosen and (not missing or draft.layers == ("prunable",)):
            frozen = why_nothing(include[0], layers) if len(include) == 1 else None
            subject.diagnostics.add(
                CODE,
                frozen[0] if frozen else "this phase selects no layer of the model",
                draft.node.mode_span,
                label="nothing to prune",
                help=frozen[1] if frozen else f"this model has: {describe_inventory(layers)}",
            )


def _selectors(subject: Subject) -> Iterator[tuple[nodes.SelectorNode, Use]]:
    """Every selector, and what it is for."""
    for statement in subject.statements:
        for root in values_of(statement):
            if isinstance(root, nodes.Argument) and root.name in SELECTING_WORDS and isinstance(root.value, tuple):
                if not _is_nothing(root.name, root.value):
                    yield from ((selector, _USES[root.name]) for selector in root.value)
            elif isinstance(root, nodes.ListTarget):
                yield from ((item.selector, "pruned") for item in root.items)
            elif isinstance(root, nodes.Argument) and isinstance(root.value, nodes.ListTarget):
                yield from ((item.selector, "trained") for item in root.value.items)


def _named(subject: Subject) -> Iterator[tuple[nodes.SelectorNode, Use]]:
    """The selectors that names stand for, in the phases that use them."""
    if subject.book is None or not (subject.names or subject.uses_files):
        return
    for draft in subject.book.phases:
        for item in draft.node.items:
            if not isinstance(item, nodes.Argument):
                continue
            if isinstance(item.value, tuple) and item.name in SELECTING_WORDS:
                written, use = item.value, _USES[item.name]
            elif isinstance(item.value, nodes.ListTarget):
                written, use = tuple(one.selector for one in item.value.items), "trained"
            else:
                continue
            for selector in written:
                if is_name(selector, subject):
                    meant = selectors_of(selector, draft.item.names) or ()
                    if len(written) > 1 or not _is_nothing(item.name, meant):
                        yield from ((one, use) for one in meant)


def _is_nothing(argument: str, written: Sequence[nodes.SelectorNode]) -> bool:
    return BY_NAME[argument].selects_nothing([str(one.selector) for one in written])


def _is_known(word: str) -> bool:
    name, _, part = word.partition(".")
    if part or word.endswith("."):
        return part in PARTS and name in (*RECURRENT_KINDS, "birnn")
    return name in KINDS or name in ROLES


def _names(layers: Sequence[LayerInfo]) -> tuple[str, ...]:
    words = {layer.kind for layer in layers} | {role for layer in layers for role in layer.roles}
    if any(layer.bidirectional for layer in layers):
        words.add("birnn")
    return (*sorted(words - {"other"}), *(layer.name for layer in layers))


def _report(subject: Subject, node: nodes.SelectorNode, present: tuple[str, ...], help: str) -> None:
    text = node.selector.text
    if str(node.selector) == "none":
        message, advice = "`none` selects no layer", "only `except=` and `freeze=` take `none`, alone"
        subject.diagnostics.add(CODE, message, node.span, label="not here", help=advice)
        return
    parts = tuple(f"{kind}.{part}" for kind in (*RECURRENT_KINDS, "birnn") for part in PARTS) if "." in text else ()
    # a kind that the model lacks cannot be meant: near names come from the model if it is known
    guess = _foreign(text, present) or nearest(text, present or (*KINDS, *ROLES, *parts))
    if guess is None and not present and _is_module_name(text):
        _report_module(subject, node)
        return
    if guess is None or guess == text or node.selector.form == "regex":
        subject.diagnostics.add(CODE, f"no layer matches `{text}`", node.span, label="matches nothing", help=help)
        return
    message = f"no layer matches `{text}`"
    written = guess if guess in (*KINDS, *ROLES, *parts, "birnn") else f'"{guess}"'
    label = f"did you mean `{written}`?"
    fix = replacement(node.span, written)
    help = help if present else 'the name of a module is written in quotes, as a glob: `"encoder.*"`'
    subject.diagnostics.add(CODE, message, node.span, label=label, help=help, fix=fix)


def _foreign(text: str, present: tuple[str, ...]) -> str | None:
    """The kind or role that a framework's word for layers means, if the model has it."""
    from dsd_lang.base.foreign_words import LAYERS

    word = text.lower().removeprefix("torch.")
    meant = word if word in (*KINDS, *ROLES) else LAYERS.get(word)
    if meant is None and not present and nearest(word, (*KINDS, *ROLES)) is None:
        meant = LAYERS.get(nearest(word, [name for name in LAYERS if len(name) > 4]) or "")
    return meant if not present or meant in present else None


def _is_module_name(text: str) -> bool:
    """Whether a word looks like the name of a module or parameter: `layer1.conv1`, `encoder`."""
    return text.replace(".", "").isidentifier() and ("." in text or nearest(text, (*KINDS, *ROLES)) is None)


def _report_module(subject: Subject, node: nodes.SelectorNode) -> None:
    text = node.selector.text
    for ending in (".weight", ".bias"):
        text = text.removesuffix(ending)
    written = f'"{text}"' if "." in text else f'"{text}.*"'
    subject.diagnostics.add(
        CODE,
        f"`{node.selector.text}` is not a kind or role of layers; the name of a module is written in quotes",
        node.span,
        label=f"did you mean `{written}`?",
        help=f"kinds are: {', '.join(KINDS)}; roles are: {', '.join(ROLES)}",
        fix=replacement(node.span, written),
    )
