"""The data set `scenes`: 720 drawn scenes with five captions each, generated without a download.

Scenes have one shape, two shapes in relation, or two to four equal ones in a row or column. They are drawn, described
and turned into features when the set is opened, always with the same result.
"""

from __future__ import annotations

import hashlib
import random

import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.captions.scenes_drawing import COLOURS, GROUNDS, RADII, SHAPES, Scene, Shape, draw, features
from dsd_runtime.data.captions.scenes_grammar import captions
from dsd_runtime.data.captions.source import CaptionSource, captioned_splits
from dsd_runtime.data.captions.text import plain_words

SIZES = {"train": 600, "val": 60, "test": 60}
THRESHOLD = 5
_SEED = "dsd scenes 1"


def open_scenes(path: str | None = None) -> CaptionSource:
    """The drawn scenes: 600 for training, 60 each for validation and test.

    >>> open_scenes().sizes["test"]
    60
    """
    if path is not None:
        raise DsdError(f"the data set `scenes` is built in and takes no path, not `{path}`", help="write `scenes`")
    draws = random.Random(_SEED)
    scenes = _different_scenes(draws, sum(SIZES.values()))
    sentences = [captions(scene, draws) for scene in scenes]
    table = torch.from_numpy(features([draw(scene) for scene in scenes]))
    described = [(row, tuple(plain_words(one) for one in several)) for row, several in enumerate(sentences)]
    images: dict[str, list[tuple[int, tuple[tuple[str, ...], ...]]]] = {}
    start = 0
    for split, size in SIZES.items():
        images[split] = described[start : start + size]
        start += size
    splits, vocabulary = captioned_splits(images, THRESHOLD)
    content = hashlib.sha256(table.numpy().tobytes() + repr(sentences).encode()).hexdigest()
    return CaptionSource("scenes", table, splits, vocabulary, content)


def _different_scenes(draws: random.Random, count: int) -> list[Scene]:
    """Scenes that differ in more than a few pixels, so that no test scene is a training scene."""
    scenes: dict[tuple[object, ...], Scene] = {}
    while len(scenes) < count:
        scene = random_scene(draws)
        shapes = [(one.kind, one.colour, one.size, int(6 * one.across), int(6 * one.down)) for one in scene.shapes]
        scenes.setdefault((scene.ground, *sorted(shapes)), scene)
    return list(scenes.values())


def random_scene(draws: random.Random) -> Scene:
    """One shape (two in five), two different ones (two in five), or a group of equal ones."""
    ground = draws.choice(tuple(GROUNDS))
    kind = draws.random()
    if kind < 0.4:
        return Scene(ground, (_shape(draws, draws.randrange(3), draws.randrange(3)),))
    if kind < 0.8:
        return Scene(ground, _pair(draws))
    return Scene(ground, _group(draws))


def _shape(draws: random.Random, column: int, row: int) -> Shape:
    """A random shape near the middle of a cell of a 3x3 grid."""
    return Shape(
        kind=draws.choice(SHAPES),
        colour=draws.choice(tuple(COLOURS)),
        size=draws.choice(tuple(RADII)),
        across=(column + 0.5) / 3 + draws.uniform(-0.02, 0.02),
        down=(row + 0.5) / 3 + draws.uniform(-0.02, 0.02),
    )


def _pair(draws: random.Random) -> tuple[Shape, ...]:
    """Two shapes of different kind or colour, one beside or above the other."""
    low, high = sorted(draws.sample(range(3), 2))
    across = draws.randrange(3)
    is_row = draws.random() < 0.5
    while True:
        first = _shape(draws, low, across) if is_row else _shape(draws, across, low)
        second = _shape(draws, high, across) if is_row else _shape(draws, across, high)
        if first.kind != second.kind or first.colour != second.colour:
            return first, second


def _group(draws: random.Random) -> tuple[Shape, ...]:
    """Two to four equal shapes in a row or column, evenly spaced."""
    count = draws.randint(2, 4)
    kind, colour = draws.choice(SHAPES), draws.choice(tuple(COLOURS))
    size = "small" if count == 4 else draws.choice(tuple(RADII))
    line = draws.uniform(0.25, 0.75)
    centres = [(index + 0.5) / count for index in range(count)]
    if draws.random() < 0.5:
        return tuple(Shape(kind, colour, size, centre, line) for centre in centres)
    return tuple(Shape(kind, colour, size, line, centre) for centre in centres)
