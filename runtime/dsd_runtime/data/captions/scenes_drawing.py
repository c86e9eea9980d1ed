"""Draws a scene of coloured shapes and computes the features of the image.

The features are computed from the pixels: for the whole image, its quarters and its sixteenths, the shares of 40
colours (5 levels of green, 4 of red, 2 of blue) and the strength of edges in 8 directions for each colour channel.
Shape legend: N scenes, S side of the image in pixels, G finest cells per side, B bins per cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

SIDE = 64
GRID = 4
LEVELS = (1, 2, 4)
COLOUR_BINS = 40
EDGE_BINS = 24
NUM_FEATURES = sum(level**2 for level in LEVELS) * (COLOUR_BINS + EDGE_BINS)

COLOURS = MappingProxyType(
    {
        "red": (210, 40, 40),
        "green": (40, 160, 60),
        "blue": (40, 70, 210),
        "yellow": (235, 210, 50),
        "purple": (140, 50, 160),
        "orange": (240, 140, 30),
    }
)
GROUNDS = MappingProxyType({"white": (245, 245, 245), "grey": (150, 150, 150), "black": (20, 20, 20)})
SHAPES = ("circle", "square", "triangle", "cross")
RADII = MappingProxyType({"small": 5.0, "large": 9.0})

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind, a colour, a size, and the centre as fractions of the image's side (rightwards, downwards)."""

    kind: str
    colour: str
    size: str
    across: float
    down: float


@dataclass(frozen=True, slots=True)
class Scene:
    """Shapes on a background of one colour."""

    ground: str
    shapes: tuple[Shape, ...]


def draw(scene: Scene) -> Bytes:
    """The scene as [3, S, S] uint8."""
    picture = np.empty((3, SIDE, SIDE), dtype=np.uint8)
    picture[:] = np.array(GROUNDS[scene.ground], dtype=np.uint8)[:, None, None]
    for shape in scene.shapes:
        picture[:, _covered(shape)] = np.array(COLOURS[shape.colour], dtype=np.uint8)[:, None]
    return picture


def features(pictures: Sequence[Bytes]) -> Floats:
    """Images [3, S, S] to features [N, 1344]: square roots of shares and strengths, so that small shapes count."""
    stacked: Floats = np.stack(pictures).astype(np.float32) / np.float32(255)
    cells = np.concatenate([_colour_histogram(stacked), _edge_histogram(stacked)], axis=2)
    return np.concatenate([_pooled(cells, level) for level in LEVELS], axis=1)


def _pooled(cells: Floats, level: int) -> Floats:
    """[N, G*G, B] to the square roots of the means over ``level`` x ``level`` larger cells, [N, level * level * B]."""
    count, _, bins = cells.shape
    means = cells.reshape(count, level, GRID // level, level, GRID // level, bins).mean(axis=(2, 4))
    roots: Floats = np.sqrt(means, dtype=np.float32).reshape(count, -1)
    return roots


def _covered(shape: Shape) -> Flags:
    """The pixels inside a shape, [S, S]."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    right, down = columns - shape.across * SIDE, rows - shape.down * SIDE
    radius = RADII[shape.size]
    inside: Flags
    if shape.kind == "circle":
        inside = right**2 + down**2 <= radius**2
    elif shape.kind == "square":
        inside = np.maximum(abs(right), abs(down)) <= 0.886 * radius
    elif shape.kind == "triangle":
        inside = (down <= 0.8 * radius) & (down >= 2 * abs(right) - 1.2 * radius)
    else:
        inside = (np.minimum(abs(right), abs(down)) <= 0.35 * radius) & (np.maximum(abs(right), abs(down)) <= radius)
    return inside


def _colour_histogram(pictures: Floats) -> Floats:
    """[N, 3, S, S] to [N, G*G, 40]: the share of each colour among a cell's pixels."""
    red, green, blue = (np.rint(pictures[:, channel] * top).astype(np.int64) for channel, top in enumerate((3, 4, 1)))
    codes = (red * 5 + green) * 2 + blue
    return _cell_sums(_cells(len(pictures)), codes, np.ones(codes.shape), len(pictures), COLOUR_BINS)


def _edge_histogram(pictures: Floats) -> Floats:
    """[N, 3, S, S] to [N, G*G, 24]: mean strength of edges by channel and by direction in steps of 45 degrees."""
    down, right = np.gradient(pictures, axis=2), np.gradient(pictures, axis=3)
    images, channels, rows, columns = np.nonzero((down != 0) | (right != 0))
    down, right = down[images, channels, rows, columns], right[images, channels, rows, columns]
    direction = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(np.int64) % 8
    cells = _cells(len(pictures))[images, rows, columns]
    return _cell_sums(cells, channels * 8 + direction, np.hypot(down, right), len(pictures), EDGE_BINS)


def _cells(count: int) -> NDArray[np.int64]:
    """The index of the cell of each pixel, counted through all images, [N, S, S]."""
    along = np.arange(SIDE) // (SIDE // GRID)
    cells: NDArray[np.int64] = np.arange(count)[:, None, None] * GRID**2 + along[:, None] * GRID + along
    return cells


def _cell_sums(
    cells: NDArray[np.int64], bins: NDArray[np.int64], weights: NDArray[np.floating], count: int, num_bins: int
) -> Floats:
    """Sums the weights of a cell's pixels by bin: [N, G*G, B]."""
    slots = (cells * num_bins + bins).reshape(-1)
    sums = np.bincount(slots, weights.reshape(-1), minlength=count * GRID**2 * num_bins)
    return (sums / (SIDE // GRID) ** 2).astype(np.float32).reshape(count, GRID**2, num_bins)
