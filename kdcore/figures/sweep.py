"""What variants are judged by, such as accuracy, against a swept value: how far it holds, where it falls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, takewhile
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.plan.naming import describe
from kdcore.report import format
from kdcore.report.quality import Quality, axis
from kdcore.report.verdicts import the

Row = Mapping[str, Any]
WIDE = 8  # values that span more than this factor are shown on a log scale
DASHES = ("dot", "solid", "dash", "dashdot", "longdash")  # of the other swept values, in ascending order
TOLERABLE = 0.05  # a fall by less than this from the best of the series counts as held in the title


class Series(NamedTuple):
    """The variants of one role over the swept values, in ascending order.

    `rest`: the other swept values that they share, as in "epochs 20"; empty where one value is swept. `verdict`: how
    many of them differ from what they are judged against; empty where they are not.
    """

    role: str
    rest: str
    values: tuple[float, ...]
    scores: tuple[Quality, ...]
    verdict: str = ""

    @property
    def name(self) -> str:
        return ", ".join(filter(None, [style.look(self.role).label, self.rest]))


class Level(NamedTuple):
    """A variant that the sweep's value does not touch."""

    name: str
    role: str
    rest: str
    score: Quality


class Sweep(NamedTuple):
    title: str
    x_title: str
    measure: str
    series: tuple[Series, ...]
    levels: tuple[Level, ...]


def sweep(rows: Sequence[Row], path: str) -> go.Figure:
    """Accuracy against `path`. `rows` are one run's in the comparison, with their `role` and the sweep's `values`."""
    return _figure(sweep_view(rows, path))


def sweep_view(rows: Sequence[Row], path: str) -> Sweep:
    found: dict[tuple[str, str], list[Row]] = {}
    levels = []
    for row in rows:
        if row["quality"] is None:
            continue
        rest = ", ".join(f"{_name(other)} {describe(value)}" for other, value in row["values"].items() if other != path)
        if isinstance(row["values"].get(path), int | float):
            found.setdefault((row["role"], rest), []).append(row)
        else:
            levels.append(Level(row["variant"], row["role"], rest, row["quality"]))
    series = tuple(_series(role, rest, path, members) for (role, rest), members in found.items())
    x_title = _name(path).capitalize()
    measure = next((row["quality"].measure for row in rows if row["quality"]), "accuracy")
    return Sweep(_title(series, x_title.lower(), measure), x_title, measure, series, tuple(levels))


def _name(path: str) -> str:
    return path.rsplit(".", 1)[-1].replace("_", " ")


def _series(role: str, rest: str, path: str, rows: list[Row]) -> Series:
    rows = sorted(rows, key=lambda row: row["values"][path])
    values = tuple(float(row["values"][path]) for row in rows)
    return Series(role, rest, values, tuple(row["quality"] for row in rows), _verdict(rows))


def _verdict(rows: Sequence[Row]) -> str:
    """So that a title never reads as if the verdicts said something else."""
    references = {row["against"] for row in rows} - {""}
    if len(references) != 1:
        return ""
    reference = the(references.pop())
    found = [
        f"{count} of {len(rows)} significantly {word} than {reference}"
        for verdict, word in (("BEATS", "better"), ("WORSE", "worse"))
        if (count := sum(row["verdict"] == verdict for row in rows))
    ]
    return ", ".join(found) or f"no significant difference from {reference}"


def _title(series: Sequence[Series], what: str, measure: str) -> str:
    if not series:
        return "Nothing was varied"
    last = series[-1]
    beside = [one for one in series if one.role == last.role]
    if len(beside) > 1:
        return f"{style.look(last.role).label}: " + "; ".join(_ends(one, what) for one in (beside[0], beside[-1]))
    return f"{last.name}: {'; '.join(filter(None, [_course(last, what, measure), last.verdict]))}"


def _course(one: Series, what: str, measure: str) -> str:
    """Flat (all intervals meet), held and then lost, or between the two whose intervals are furthest apart."""
    pairs = list(zip(one.values, one.scores, strict=True))
    best, worst = max(one.scores, key=_merit), min(one.scores, key=_merit)
    if max(score.ends[0] for score in one.scores) <= min(score.ends[1] for score in one.scores):
        varies = f"{measure} varies" if best.scale.sign > 0 else f"{best.scale.name} vary"
        return f"{varies} by {_less_than(best, worst)} over {what} {one.values[0]:g} to {one.values[-1]:g}"
    held = [value for value, _ in takewhile(lambda pair: pair[1].merit >= best.merit - TOLERABLE, pairs)]
    if held and worst.merit < best.merit - TOLERABLE:
        tolerable = f"{best.scale.factor * TOLERABLE:g} {best.scale.unit.removesuffix(' of mAP')}"
        return f"{best.short} at best, within {tolerable} of that up to {what} {held[-1]:g}, {worst.short} at worst"
    apart = [
        (left, right)
        for left, right in combinations(range(len(pairs)), 2)
        if not one.scores[left].meets(one.scores[right])
    ]
    ends = max(apart, key=lambda ends: abs(one.scores[ends[0]].value - one.scores[ends[1]].value))
    (start, before), (end, after) = (pairs[place] for place in ends)
    return f"from {before.short} at {what} {start:g} to {after.short} at {what} {end:g}"


def _merit(score: Quality) -> float:
    return score.merit


def _less_than(best: Quality, worst: Quality) -> str:
    """A bound on their difference: "less than 2 points", "less than 0.013 bits per character"."""
    scale = best.scale
    step = 1 if scale.sign > 0 else 10**-scale.decimals
    steps = math.floor(round(best.ahead(worst) / step, 6)) + 1
    bound = format.plural(steps, "point") if scale.sign > 0 else f"{steps * step:.{scale.decimals}f} {scale.unit}"
    return f"less than {bound}"


def _ends(one: Series, what: str) -> str:
    """What a series is at both ends of the range."""
    first, last = one.scores[0].short, one.scores[-1].short
    return f"at {one.rest} from {first} ({what} {one.values[0]:g}) to {last} ({one.values[-1]:g})"


def _figure(view: Sweep) -> go.Figure:
    values = [value for one in view.series for value in one.values] or [0.0, 1.0]
    wide = min(values) > 0 and max(values) / min(values) >= WIDE
    rests = sorted(({one.rest for one in view.series} | {one.rest for one in view.levels}) - {""}, key=_natural)
    ticks = {"tickvals": sorted(set(values)), "tickformat": "~g"} if wide else {}
    labelled = len(rests) > 1  # at their ends; where all are of one role, a legend would only say it again
    legend = not labelled or len({one.role for one in view.series}) > 1
    return style.figure(
        [*(_level(level, _dash(level.rest, rests, "dot"), (min(values), max(values))) for level in view.levels),
         *(_line(one, _dash(one.rest, rests, "solid"), _shade(one, view.series), view.x_title) | {"showlegend": legend}
           for one in view.series)],
        view.title,
        x={"title": view.x_title + ", log scale" * wide, "type": "log" if wide else "linear", **ticks},
        y={"title": axis([view.measure])},
        height=360,
        annotations=[_end(one, view, wide) for one in view.series] if labelled else [],
    )  # fmt: skip


def _natural(text: str) -> list[tuple[int, float, str]]:
    """So that "epochs 80" comes before "epochs 120"."""
    return [(0, float(part), "") if part.replace(".", "", 1).isdigit() else (1, 0.0, part) for part in text.split(" ")]


def _dash(rest: str, rests: Sequence[str], usual: str) -> str:
    """Lines that share the other swept values share their dashes."""
    return DASHES[rests.index(rest) % len(DASHES)] if rest in rests and len(rests) > 1 else usual


def _shade(one: Series, series: Sequence[Series]) -> str:
    """Lines of one role have its colour, from light to dark in the order of the other swept values."""
    rests = sorted({other.rest for other in series if other.role == one.role}, key=_natural)
    return style.shades(style.look(one.role).colour, len(rests))[rests.index(one.rest)]


def _end(one: Series, view: Sweep, wide: bool) -> dict[str, Any]:
    """The other swept value at the end of its line."""
    x = one.values[-1]
    return {
        "x": math.log10(x) if wide else x,
        "y": one.scores[-1].drawn,
        "text": one.rest,
        "xanchor": "left",
        "xshift": 10,
        "showarrow": False,
        "font": {"size": 11, "color": style.INK},
    }


def _line(one: Series, dash: str, colour: str, x_title: str) -> dict[str, Any]:
    look = style.look(one.role)
    return {
        "x": one.values,
        "y": [score.drawn for score in one.scores],
        "error_y": {
            "type": "data",
            "array": [score.scale.factor * (score.ends[1] - score.value) for score in one.scores],
            "arrayminus": [score.scale.factor * (score.value - score.ends[0]) for score in one.scores],
            "color": style.tint(colour, 0.5),
        },
        "mode": "lines+markers",
        "name": one.name,
        "line": {"color": colour, "dash": dash},
        "marker": {"symbol": look.symbol, "size": 10},
        "hovertemplate": f"{one.name}, {x_title.lower()} %{{x:g}}: %{{y:.3g}}{_sign(one.scores[0])}<extra></extra>",
    }


def _level(level: Level, dash: str, span: tuple[float, float]) -> dict[str, Any]:
    return {
        "x": span,
        "y": [level.score.drawn] * 2,
        "mode": "lines",
        "name": level.name,
        "line": {"color": style.look(level.role).colour, "dash": dash, "width": 1.5},
        "hovertemplate": f"{level.name}: %{{y:.3g}}{_sign(level.score)}<extra></extra>",
    }


def _sign(score: Quality) -> str:
    return " %" if score.scale.sign > 0 else f" {score.scale.unit}"
