"""Where the names of a chart's marks stand: one label a place, and none on a mark, a bar or another label.

All in pixels, about: a chart is drawn as wide as the page allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WIDE, HIGH = 420, 230  # of what the marks and their bars fill
MARK = 16  # marks nearer than this are one place
BAR = 6
LETTER, LINE = 6.5, 16
NEIGHBOURS = 64  # places nearer than this may share a label where there is no room for two


class Mark(NamedTuple):
    """A mark at (x, y) with a bar from `low` to `high`, in the units of the axes, which are linear."""

    name: str
    x: float
    y: float
    low: float
    high: float


class Label(NamedTuple):
    """What is written beside a mark, and on which side of it, as plotly says it."""

    text: str
    position: str


class Box(NamedTuple):
    """A piece of the chart; y counts upwards."""

    left: float
    low: float
    right: float
    high: float

    def meets(self, other: Box) -> bool:
        return self.left < other.right and other.left < self.right and self.low < other.high and other.low < self.high


def labels(marks: Sequence[Mark]) -> list[Label]:
    """A label for each mark; of several at one place one has all the names, and the others have none."""
    drawn = _in_pixels(marks)
    places: list[list[int]] = []
    for index in range(len(drawn)):
        near = next((place for place in places if _apart(drawn, [index], place) < MARK), None)
        if near:
            near.append(index)
        else:
            places.append([index])
    while True:
        places = [sorted(place, key=lambda index: -drawn[index].y) for place in places]
        found, crowded = _arranged(drawn, places)
        if crowded is None:
            return found
        others = [place for place in places if place is not crowded]
        min(others, key=lambda place: _apart(drawn, crowded, place)).extend(crowded)
        places = others


def _apart(drawn: Sequence[Mark], some: Sequence[int], others: Sequence[int]) -> float:
    """Between the nearest two marks."""
    pairs = [(drawn[one], drawn[other]) for one in some for other in others]
    return min(max(abs(one.x - other.x), abs(one.y - other.y)) for one, other in pairs)


def _arranged(drawn: Sequence[Mark], places: Sequence[list[int]]) -> tuple[list[Label], list[int] | None]:
    """The labels, each on the first side of its place that is free; a place that had better join a neighbour."""
    found = [Label("", "middle right")] * len(drawn)
    written: list[Box] = []
    for place in places:
        bearer = place[len(place) // 2]
        sides = _sides([drawn[index] for index in place], drawn[bearer])
        around = [box for index, mark in enumerate(drawn) if index not in place for box in _covered(mark)]
        free = [name for name, box in sides.items() if not any(map(box.meets, [*around, *written]))]
        if not free and any(_apart(drawn, place, other) < NEIGHBOURS for other in places if other is not place):
            return found, place
        position = next(iter(free or sides))
        written.append(sides[position])
        # A space between mark and name, on either side.
        found[bearer] = Label("<br>".join(f"\u2002{drawn[index].name}\u2002" for index in place), position)
    return found, None


def _in_pixels(marks: Sequence[Mark]) -> list[Mark]:
    across, up = [mark.x for mark in marks], [value for mark in marks for value in (mark.low, mark.y, mark.high)]

    def pixels(value: float, values: Sequence[float], length: float) -> float:
        span = max(values) - min(values)
        return length * (value - min(values)) / span if span else length / 2

    return [
        Mark(mark.name, pixels(mark.x, across, WIDE), *(pixels(value, up, HIGH) for value in mark[2:]))
        for mark in marks
    ]


def _covered(mark: Mark) -> tuple[Box, Box]:
    """The mark itself, and its bar."""
    half = MARK / 2
    return (
        Box(mark.x - half, mark.y - half, mark.x + half, mark.y + half),
        Box(mark.x - BAR / 2, mark.low, mark.x + BAR / 2, mark.high),
    )


def _sides(place: Sequence[Mark], bearer: Mark) -> dict[str, Box]:
    """The boxes that the names would fill on each side of the mark, first on the side that has room."""
    wide, high = LETTER * max(len(mark.name) + 2 for mark in place), LINE * len(place)
    x, y, half = bearer.x, bearer.y, MARK / 2
    across = {"left": (x - half - wide, x - half), "right": (x + half, x + half + wide)}
    levels = {"top": y + half, "bottom": y - half - high, "middle": y - high / 2}
    roomy, other = ("left", "right") if x > WIDE / 2 else ("right", "left")
    inside = across[other][0] >= 0 and across[other][1] <= WIDE
    order = ("middle", "top", "bottom") if len(place) > 1 else ("top", "bottom", "middle")
    return {
        f"{level} {side}": Box(across[side][0], levels[level], across[side][1], levels[level] + high)
        for side in ((roomy, other) if inside else (roomy,))
        for level in order
    }
