"""Where the names of a chart's marks stand: one label a place, and none on a mark, a bar, a line or another label.

All in pixels, about: a chart is drawn as wide as the page allows. A name that stands apart from its mark has a leader,
a thin line to it, so that it belongs to one mark at any width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

WIDE, HIGH = 420, 230  # of what the marks and their bars fill
MARK = 16  # marks nearer than this are one place
BAR = 6
LETTER, LINE = 6.0, 15
BESIDE = 4  # from a mark to a name beside it
FAR = (26, 44, 66, 92)  # from a mark to a name with a leader
TURNS = 16  # directions in which a leader may go
OVER = 12  # how far a name may stand out


class Mark(NamedTuple):
    """A mark at (x, y) with a bar from `low` to `high`, in the units of linear axes; `radius` in pixels."""

    name: str
    x: float
    y: float
    low: float
    high: float
    radius: float = MARK / 2


class Label(NamedTuple):
    """A text `right` and `up` pixels from its mark, where it begins ("left") or ends ("right").

    `leader`: whether a line joins them. Empty text: the mark has no name of its own.
    """

    text: str
    right: float
    up: float
    anchor: str
    leader: bool


class Box(NamedTuple):
    """A piece of the chart; y counts upwards."""

    left: float
    low: float
    right: float
    high: float

    def meets(self, other: Box) -> bool:
        return self.left < other.right and other.left < self.right and self.low < other.high and other.low < self.high


NONE = Label("", 0, 0, "left", leader=False)
SHARED = Label("", 0, 0, "right", leader=False)  # its name stands in the label of another mark at its place


def labels(
    marks: Sequence[Mark], lines: Sequence[Sequence[tuple[float, float]]] = (), wide: float = WIDE
) -> list[Label]:
    """A label for each mark; of several at one place one has all the names, and the others have none.

    `lines`: the corners of lines that no name may stand on, their parts level or upright. `wide`: pixels that the marks
    fill. A place for whose name there is no room stays without one.
    """
    drawn, corners = _in_pixels(marks, lines, wide)
    walls = [_wall(*pair) for line in corners for pair in pairwise(line)]
    found = [NONE] * len(drawn)
    for place in _places(drawn):
        bearer = place[len(place) // 2]
        around = [box for index, mark in enumerate(drawn) if index not in place for box in _covered(mark)]
        taken = [*around, *walls]
        text = "<br>".join(drawn[index].name for index in place)
        size = LETTER * max(len(drawn[index].name) for index in place), LINE * len(place)
        free = (
            (label, box) for label, box in _offers(drawn[bearer], text, size, wide) if not any(map(box.meets, taken))
        )
        label, box = next(free, (NONE, None))
        for index in place:
            found[index] = SHARED if box else NONE
        found[bearer] = label
        if box:
            walls.append(box)
    return found


def _places(drawn: Sequence[Mark]) -> list[list[int]]:
    """Marks that are too near each other to be named apart, the best first."""
    places: list[list[int]] = []
    for index, mark in enumerate(drawn):
        near = next((place for place in places if any(_apart(mark, drawn[other]) < MARK for other in place)), None)
        if near:
            near.append(index)
        else:
            places.append([index])
    return [sorted(place, key=lambda index: -drawn[index].y) for place in places]


def _apart(one: Mark, other: Mark) -> float:
    return max(abs(one.x - other.x), abs(one.y - other.y))


def _in_pixels(
    marks: Sequence[Mark], lines: Sequence[Sequence[tuple[float, float]]], wide: float
) -> tuple[list[Mark], list[list[tuple[float, float]]]]:
    across, up = [mark.x for mark in marks], [value for mark in marks for value in (mark.low, mark.y, mark.high)]

    def pixels(value: float, values: Sequence[float], length: float) -> float:
        span = max(values) - min(values)
        return length * (value - min(values)) / span if span else length / 2

    drawn = [
        mark._replace(
            x=pixels(mark.x, across, wide),
            y=pixels(mark.y, up, HIGH),
            low=pixels(mark.low, up, HIGH),
            high=pixels(mark.high, up, HIGH),
        )
        for mark in marks
    ]
    return drawn, [[(pixels(x, across, wide), pixels(y, up, HIGH)) for x, y in line] for line in lines]


def _wall(start: tuple[float, float], end: tuple[float, float]) -> Box:
    (x, y), (other_x, other_y) = start, end
    return Box(min(x, other_x) - 2, min(y, other_y) - 2, max(x, other_x) + 2, max(y, other_y) + 2)


def _covered(mark: Mark) -> tuple[Box, Box]:
    """The mark itself, and its bar."""
    half = mark.radius
    return (
        Box(mark.x - half, mark.y - half, mark.x + half, mark.y + half),
        Box(mark.x - BAR / 2, mark.low, mark.x + BAR / 2, mark.high),
    )


def _offers(mark: Mark, text: str, size: tuple[float, float], wide: float) -> Iterator[tuple[Label, Box]]:
    """Where the text could stand within the chart: beside the mark first, on the side that has room."""
    inwards, beside = -1 if mark.x > wide / 2 else 1, mark.radius + BESIDE
    near = [(side * beside, level * beside) for side in (inwards, -inwards) for level in (1, -1, 0)]
    angles = [2 * math.pi * turn / TURNS for turn in range(TURNS)]
    far = [
        (inwards * (mark.radius + radius) * math.cos(angle), (mark.radius + radius) * math.sin(angle))
        for radius in FAR
        for angle in angles
    ]
    for right, up in [*near, *far]:
        label = Label(text, right, up, "left" if right >= 0 else "right", leader=(right, up) not in near)
        left = mark.x + right - (0 if right >= 0 else size[0])
        low = mark.y + up - size[1] / 2
        box = Box(left, low, left + size[0], low + size[1])
        if box.left > -OVER and box.right < wide + OVER and box.low > -OVER and box.high < HIGH + OVER:
            yield label, box
