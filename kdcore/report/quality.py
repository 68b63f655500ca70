"""What a variant is judged by, its quality, and how charts and sentences show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kdcore.report import format


class Scale(NamedTuple):
    """Of a kind of quality: its name in a sentence and on an axis, what its values are multiplied with there, and
    whether more of it is better (1) or less (-1). `unit` and `decimals`: of a difference."""

    name: str
    axis: str
    factor: float = 100
    sign: int = 1
    unit: str = "points"
    decimals: int = 1


SCALES = {
    "accuracy": Scale("test accuracy", "Test accuracy (%)"),
    "validation accuracy": Scale("validation accuracy", "Validation accuracy (%)"),
    "mAP": Scale("mAP", "Mean average precision (mAP, %)", unit="points of mAP"),
    "bits": Scale("bits per character", "Bits per character (less is better)", 1, -1, "bits per character", 3),
}


class Quality(NamedTuple):
    """A value of what `measure`, one of SCALES, says, with its 95 % interval where it has one: shares as fractions."""

    measure: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def scale(self) -> Scale:
        return SCALES[self.measure]

    @property
    def merit(self) -> float:
        """Greater for what is better."""
        return self.scale.sign * self.value

    @property
    def drawn(self) -> float:
        """The value on an axis."""
        return self.scale.factor * self.value

    @property
    def ends(self) -> tuple[float, float]:
        """Those of the interval; the value where there is none."""
        return self.value if self.low is None else self.low, self.value if self.high is None else self.high

    def meets(self, other: Quality) -> bool:
        """Whether the intervals of two have a value in common."""
        (low, high), (least, most) = self.ends, other.ends
        return low <= most and least <= high

    @property
    def words(self) -> str:
        """ "test accuracy 98.7 % (97.4 to 99.4)", "2.877 bits per character (2.849 to 2.904)"."""
        if self.scale.sign > 0:
            return f"{self.scale.name} {format.percent_interval(self.value, self.low, self.high)}"
        bounds = format.bits_bounds(self.low, self.high)
        return f"{format.bits(self.value)} {self.scale.name}" + (f" ({bounds})" if bounds else "")

    @property
    def short(self) -> str:
        """The value alone: "98.7 %", "2.877 bits per character"."""
        return format.percent(self.value) if self.scale.sign > 0 else f"{format.bits(self.value)} {self.scale.name}"

    def ahead(self, other: Quality) -> float:
        """By how much it is better than another of one measure, in the unit of differences."""
        return self.scale.factor * (self.merit - other.merit)


def axis(measures: Iterable[str]) -> str:
    """The title of an axis with values of these measures."""
    asked = set(measures) or {"accuracy"}
    found = [scale for measure, scale in SCALES.items() if measure in asked]
    if len(found) == 1:
        return found[0].axis
    names = " or ".join(scale.name for scale in found)
    return names[:1].upper() + names[1:] + " (%)" * all(scale.sign > 0 for scale in found)
