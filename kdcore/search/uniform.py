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
        return weighs_at_most(most, space, sketches, at(value))

    value = largest(small, large, fits, log=searched.log)
    return None if value is None else at(value)


def weighs_at_most(most: float, space: Space, sketches: Sketches, settings: Settings) -> bool:
    """Whether these settings' file has at most so many bytes; not where the chain does not work on such a network."""
    try:
        return sketches.weight(space.recipe(settings)).size_bytes <= most
    except (ValueError, RuntimeError):
        return False


def largest(small: float, large: float, fits: Callable[[float], bool], *, log: bool = False) -> float | None:
    """The value nearest to `large` that fits, found by halving; None where even `small` does not."""
    if fits(large):
        return large
    if not fits(small):
        return None
    good, bad = small, large
    for _ in range(HALVINGS):
        middle = (good * bad) ** 0.5 if log else (good + bad) / 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
