"""Resolves the selectors of phases: given, the last sparse phase's, `set layers=`, or `prunable`.

`layers=` without `except=` excludes nothing; `except=` alone keeps the inherited `layers`. The selectors of a list
target are its layers.
"""

from __future__ import annotations

from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Draft
from dsd_lang.passes.read_settings import Settings

DEFAULT_LAYERS = ("prunable",)


def resolve_layers(compilation: Compilation) -> None:
    """Fills in ``layers`` and ``exclude`` of every draft; dense phases have none."""
    for draft in compilation.book.phases:
        draft.layers, draft.exclude = (), ()
        if draft.mode == "sparse":
            _resolve(draft, compilation.settings)


def _resolve(draft: Draft, settings: Settings) -> None:
    given, original = draft.given, draft.original
    layers, exclude = given.selectors("layers"), given.selectors("except")
    if original is not None:
        is_same = given.arguments.get("layers") is original.given.arguments.get("layers")
        is_same_exclude = given.arguments.get("except") is original.given.arguments.get("except")
        draft.layers = original.layers if is_same else layers or original.layers
        draft.exclude = original.exclude if is_same and is_same_exclude else exclude or ()
        if is_same:
            draft.derived.append("layers")
        return
    if layers is None:
        draft.derived.append("layers")
    source = draft.previous_sparse
    if source is not None:
        inherited, inherited_exclude = source.layers, source.exclude
        if layers is None:
            draft.reasons["layers"] = "layers inherited"
    else:
        inherited = _of_setting(settings, "layers", DEFAULT_LAYERS)
        inherited_exclude = _of_setting(settings, "except", ())
        if layers is None and "layers" in settings:
            draft.reasons["layers"] = "layers from `set`"
    draft.layers = layers if layers is not None else inherited
    if exclude is not None:
        draft.exclude = exclude
    elif layers is None:
        draft.exclude = inherited_exclude
        if inherited_exclude:
            draft.derived.append("except")
    if given.are_layers_of_target:
        draft.derived.append("layers")
        draft.reasons["layers"] = "layers those of the target"


def _of_setting(settings: Settings, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """The program's selectors."""
    value = settings[name].data if name in settings else default
    assert isinstance(value, tuple), "the reader gives selectors"
    return tuple(str(text) for text in value)
