"""Which settings are within the limits, as far as that shows before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kdcore.search import judging
from kdcore.search.request import TIMED
from kdcore.search.sketch import WEIGHED, Sketches
from kdcore.search.space import Settings, Space

Fits = Callable[[Settings], bool]
SHOWN = frozenset((*WEIGHED, *TIMED))  # the limits that an untrained file can be held to


class Fitting:
    """Holds untrained files to limits: bytes, MACs and parameters exactly, times as `timed` measures them (ms)."""

    def __init__(self, space: Space, sketches: Sketches, timed: Callable[[Path], Mapping[str, float]]):
        self.space, self.sketches, self._timed = space, sketches, timed
        self._times: dict[str, Mapping[str, float]] = {}

    def within(self, limits: Mapping[str, float]) -> Fits:
        """Whether settings keep to those of the limits that show; not where the chain does not work on the network."""

        def fits(settings: Settings) -> bool:
            try:
                recipe = self.space.recipe(settings)
                if not _all_within(self.sketches.weight(recipe)._asdict(), limits):
                    return False
                return not limits.keys() & TIMED or _all_within(self._times_of(settings), limits)
            except (ValueError, RuntimeError):
                return False

        return fits

    def _times_of(self, settings: Settings) -> Mapping[str, float]:
        asked = str(sorted(settings.items()))
        if asked not in self._times:
            with self.sketches.drawn(self.space.recipe(settings)) as (path, _):
                self._times[asked] = self._timed(path)
        return self._times[asked]


def _all_within(figures: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    return all(value <= judging.ROUNDING for value in judging.excess(figures, limits).values())
