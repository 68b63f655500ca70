"""A drawing as it comes from a browser: checked, and painted as ink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

UNITS = 1000  # coordinates go from 0 to this, across and down
PEN = 80  # width of the pen in these units
PAINTED = 512  # pixels of the longer side of what is painted
MOST_STROKES, MOST_POINTS = 500, 20_000

Point = tuple[float, float]
Stroke = list[Point]
Ink = NDArray[np.float64]


class BadDrawing(ValueError):
    """What came is no drawing; the message says why."""


def strokes(sent: Any) -> list[Stroke]:
    """A browser's lists of [x, y] with coordinates in 0..UNITS, one list a stroke. Raises BadDrawing."""
    if not isinstance(sent, list) or len(sent) > MOST_STROKES:
        raise BadDrawing(f"A drawing is a list of at most {MOST_STROKES} strokes.")
    if not all(isinstance(stroke, list) for stroke in sent):
        raise BadDrawing("A stroke is a list of points.")
    if sum(len(stroke) for stroke in sent) > MOST_POINTS:
        raise BadDrawing(f"A drawing has at most {MOST_POINTS:,} points.")
    return [[_point(point) for point in stroke] for stroke in sent if stroke]


def _point(sent: Any) -> Point:
    numbers = sent if isinstance(sent, list) else []
    if len(numbers) != 2 or not all(isinstance(one, int | float) and 0 <= one <= UNITS for one in numbers):
        raise BadDrawing(f"A point is [x, y] with numbers from 0 to {UNITS}.")
    return float(numbers[0]), float(numbers[1])


def ink(drawn: Sequence[Stroke], height: int, width: int) -> Ink:
    """The strokes painted with a round pen: 0 where the canvas is empty, 1 where the pen was.

    The result has the proportions of (height, width), the longer side being PAINTED pixels.
    """
    scale = PAINTED / max(height, width)
    across, down = round(width * scale), round(height * scale)
    image = Image.new("L", (across, down))
    brush = ImageDraw.Draw(image)
    radius = PEN / UNITS * PAINTED / 2
    for stroke in drawn:
        points = [(x * across / UNITS, y * down / UNITS) for x, y in stroke]
        brush.line(points, fill=255, width=round(2 * radius))
        for x, y in points:
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image) / 255
