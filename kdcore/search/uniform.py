"""What a person would do without a search: one method, the same for all layers, turned until the limits are kept."""

from __future__ import annotations

from collections.abc import Callable

from kdcore.search.fitting import Fits
from kdcore.search.space import Knob, Settings, Space

HALVINGS = 7  # of a range: to a hundredth of it


def chains(space: Space, fits: Fits, check: Callable[[], None]) -> list[Settings]:
    """Of each knob the settings of the largest model that fits; none where even the smallest does not.

    Nothing is trained for them.
    """
    found = []
    for knob in space.knobs():
        check()
        settings = _turned(knob, fits)
        if settings is not None and settings not in found:
            found.append(settings)
    return found


def _turned(knob: Knob, fits: Fits) -> Settings | None:
    searched = knob.searched
    whole = isinstance(searched.low, int) and isinstance(searched.high, int)
    small, large = (searched.low, searched.high) if searched.smallest == searched.low else (searched.high, searched.low)

    def at(value: float) -> Settings:
        step = int(searched.step or 1)
        steady = int(searched.low) + step * round((value - searched.low) / step) if whole else float(f"{value:.3g}")
        return knob.fixed | {knob.name: steady}

    value = largest(small, large, lambda value: fits(at(value)), log=searched.log)
    return None if value is None else at(value)


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
