"""Describes a scene in five sentences, from a grammar with several phrases for each thing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

from dsd_runtime.data.captions.scenes_drawing import Scene, Shape

NUM_CAPTIONS = 5

_SIZES = MappingProxyType({"small": ("small", "little", "tiny"), "large": ("large", "big")})
_KINDS = MappingProxyType(
    {"circle": ("circle", "disc"), "square": ("square",), "triangle": ("triangle",), "cross": ("cross",)}
)
_PLURALS = MappingProxyType(
    {"circle": ("circles", "discs"), "square": ("squares",), "triangle": ("triangles",), "cross": ("crosses",)}
)
_NUMBERS = MappingProxyType({2: "two", 3: "three", 4: "four"})
_DOWN = (("top", "upper"), ("middle",), ("bottom", "lower"))
_ACROSS = ("left", "middle", "right")

_SINGLE = (
    "{a_thing} {place}",
    "{a_thing} {place} {ground}",
    "there is {a_thing} {place}",
    "the picture shows {a_thing} {place}",
    "{a_thing} lies {place} {ground}",
    "{place} is {a_thing}",
)
_PAIR = (
    "{first} {relation} {second}",
    "there is {first} {relation} {second}",
    "{first} is {relation} {second}",
    "{second} with {first} {beside}",
    "{first} and {second} {ground}",
    "{first} {relation} {second} {ground}",
    "two shapes {first} and {second}",
)
_GROUP = (
    "{number} {things} in a {line}",
    "there are {number} {things}",
    "a {line} of {number} {things}",
    "{number} {things} {ground}",
    "{number} {things} stand in a {line} {ground}",
    "the picture shows {number} {things}",
)


def captions(scene: Scene, draws: random.Random) -> tuple[str, ...]:
    """Five sentences, each from its own template."""
    templates, words = _GRAMMARS[_grammar_of(scene)]
    return tuple(
        template.format_map({"ground": _ground(scene, draws), **words(scene, draws)})
        for template in draws.sample(templates, NUM_CAPTIONS)
    )


def _grammar_of(scene: Scene) -> str:
    if len(scene.shapes) == 1:
        return "single"
    first, second = scene.shapes[:2]
    return "group" if (first.kind, first.colour) == (second.kind, second.colour) else "pair"


def _single_words(scene: Scene, draws: random.Random) -> dict[str, str]:
    (shape,) = scene.shapes
    return {"a_thing": _with_article(_thing(shape, draws)), "place": _location(shape, draws)}


def _pair_words(scene: Scene, draws: random.Random) -> dict[str, str]:
    """Either shape may come first; the relation is along the axis with the larger distance."""
    first, second = draws.sample(scene.shapes, 2)
    if abs(first.across - second.across) >= abs(first.down - second.down):
        is_left = first.across < second.across
        side = "left" if is_left else "right"
        relation = draws.choice((f"to the {side} of", f"{side} of"))
        beside = f"on its {side}"
    else:
        is_above = first.down < second.down
        relation = draws.choice(("above", "over") if is_above else ("below", "under"))
        beside = relation + " it"
    return {
        "first": _with_article(_thing(first, draws)),
        "second": _with_article(_thing(second, draws)),
        "relation": relation,
        "beside": beside,
    }


def _group_words(scene: Scene, draws: random.Random) -> dict[str, str]:
    one, other = scene.shapes[:2]
    things = " ".join((draws.choice(_SIZES[one.size]), one.colour, draws.choice(_PLURALS[one.kind])))
    line = draws.choice(("row", "line")) if abs(one.across - other.across) > abs(one.down - other.down) else "column"
    return {"number": _NUMBERS[len(scene.shapes)], "things": things, "line": line}


def _thing(shape: Shape, draws: random.Random) -> str:
    """The shape's name, usually with its size."""
    size = draws.choice(_SIZES[shape.size]) + " " if draws.random() < 0.8 else ""
    return f"{size}{shape.colour} {draws.choice(_KINDS[shape.kind])}"


def _location(shape: Shape, draws: random.Random) -> str:
    down, across = draws.choice(_DOWN[int(shape.down * 3)]), _ACROSS[int(shape.across * 3)]
    if down == "middle" and across == "middle":
        return draws.choice(("in the middle", "in the centre"))
    if down == "middle":
        return draws.choice((f"on the {across}", f"on the {across} side"))
    if across == "middle":
        return draws.choice((f"in the middle at the {down} edge", f"at the {down} edge"))
    return draws.choice((f"in the {down} {across} corner", f"in the {down} {across}"))


def _ground(scene: Scene, draws: random.Random) -> str:
    return f"on a {scene.ground} {draws.choice(('background', 'ground'))}"


def _with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


_GRAMMARS: Mapping[str, tuple[tuple[str, ...], Callable[[Scene, random.Random], dict[str, str]]]] = MappingProxyType(
    {"single": (_SINGLE, _single_words), "pair": (_PAIR, _pair_words), "group": (_GROUP, _group_words)}
)
