"""What a person would do without a search: one method, the same for all layers, turned until the size is right."""

from __future__ import annotations

from collections.abc import Callable

from kdcore.search.sketch import Sketches
from kdcore.search.space import Knob, Settings, Space

HALVINGS = 7  # of a range: to a hundredth of it


def chains(space: Space, sketches: Sketches, most: float, check: Callable[[], None]) -> list[Settings]:
    """Of each knob the settings of the largest model of at most so many bytes; none where even the smallest is larger.

    The sizes are exact, and nothing is trained for them.
    """
    found = []
    for knob in space.knobs():
        check()
        settings = _turned(space, sketches, knob, most)
        if settings is not None and settings not in found:
            found.append(settings)
    return found


def _turned(space: Space, sketches: Sketches, knob: Knob, most: float) -> Settings | None:
    searched = knob.searched
    whole = isinstance(searched.low, int) and isinstance(searched.high, int)
    small, large = (searched.low, searched.high) if searched.smallest == searched.low else (searched.high, searched.low)

    def at(value: float) -> Settings:
        step = int(searched.step or 1)
        steady = int(searched.low) + step * round((value - searched.low) / step) if whole else float(f"{value:.3g}")
        return knob.fixed | {knob.name: steady}

    def fits(value: float) -> bool:
        try:
            return sketches.weight(space.recipe(at(value))).size_bytes <= most
        except (ValueError, RuntimeError):
            return False  # the chain does not work on such a network

    if fits(large):
        return at(large)
    if not fits(small):
        return None
    good, bad = small, large
    for _ in range(HALVINGS):
        middle = (good * bad) ** 0.5 if searched.log else (good + bad) / 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return at(good)
