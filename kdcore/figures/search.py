"""What a search has found: each candidate's size and accuracy with the limits as lines, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format
from kdcore.search.judging import TRAINED, Row, fits, front
from kdcore.search.wording import words

MOST_BARS = 10
LEAST_SHARE = 0.005  # of an importance that gets a bar
NARROW = 4  # sizes that span less than this factor may have no round number between them


class Point(NamedTuple):
    """A trained candidate. `size` in kB, `accuracy` in per cent of the validation images; `fits`: within all limits."""

    role: str
    size: float
    accuracy: float
    fits: bool
    sentence: str


class Found(NamedTuple):
    """`front`: (kB, per cent) of the candidates that no other beats. `most`, `least`: the limits, None for none, or for
    one that every accuracy meets."""

    title: str
    points: tuple[Point, ...]
    front: tuple[tuple[float, float], ...]
    best: tuple[float, float] | None
    most: float | None
    least: float | None
    coded: bool = False


def against_size(found: Mapping[str, Any], limits: Mapping[str, float]) -> go.Figure:
    """For the content of search.json, with a trained candidate, and the limits of the search."""
    return _figure(view(found, limits))


def view(found: Mapping[str, Any], limits: Mapping[str, float]) -> Found:
    coded = "coded_bytes" in limits
    column = "coded_bytes" if coded else "size_bytes"
    rows = [row for row in found["trials"] if row["state"] == TRAINED and row.get(column)]
    best = next((row for row in rows if row["number"] == found["best"]), None)

    def place(row: Row) -> tuple[float, float]:
        return row[column] / 1000, 100 * row["accuracy"]

    points = tuple(Point(row.get("role", ""), *place(row), fits(row, limits), _sentence(row, column)) for row in rows)
    most, lost = limits.get(column), limits.get("lost")
    whole = found["reference"].get("accuracy")
    least = 100 * whole - lost if lost is not None and whole is not None else None
    return Found(
        _title(best, rows), points, tuple(map(place, front(rows, coded))), place(best) if best else None,
        most / 1000 if most else None, least if least and least > 0 else None, coded,
    )  # fmt: skip


def _title(best: Row | None, rows: Sequence[Row]) -> str:
    trained = format.plural(len(rows), "candidate")
    if best is None:
        return f"None of {trained} is within the limits"
    accuracy = f"{format.percent(best['accuracy'])} validation accuracy at {format.size(best['size_bytes'])}"
    return f"Best of {trained}: {best['label']}, {accuracy}"


def _sentence(row: Row, column: str) -> str:
    facts = [f"{format.percent(row['accuracy'])} on validation examples", format.size(row[column])]
    if row.get("latency_ms"):
        facts.append(format.milliseconds(row["latency_ms"]))
    return f"Trial {row['number']}: {row['label']}<br>{', '.join(facts)}"


def _figure(found: Found) -> go.Figure:
    groups = dict.fromkeys(point.role if point.fits else None for point in found.points)
    traces = [_front(found.front)] if len(found.front) > 1 else []
    traces += [_limit(line, first=place == 0) for place, line in enumerate(_limits(found))]
    traces += [_marks([one for one in found.points if (one.role if one.fits else None) == group]) for group in groups]
    if found.best:
        traces.append(_ring(found.best))
    what = "Coded size" if found.coded else "File size"
    return style.figure(
        traces,
        found.title,
        x={"title": f"{what} (kB, log scale)", "type": "log", "tickformat": ",~r", **_ticks(found)},
        y={"title": "Validation accuracy (%)"},
        showlegend=True,
    )


def _ticks(found: Found) -> dict[str, Any]:
    """Round numbers, of which a short axis may have none."""
    across = [one.size for one in found.points] + ([found.most] if found.most else [])
    return {"dtick": "D2"} if max(across) >= NARROW * min(across) else {"nticks": 5}


def _limits(found: Found) -> list[list[tuple[float, float]]]:
    across, up = [one.size for one in found.points], [one.accuracy for one in found.points]
    lines = []
    if found.most:
        lines.append([(found.most, min(up)), (found.most, max(100.0, *up))])
    if found.least is not None:
        lines.append([(min(across), found.least), (max([*across, found.most or 0.0]), found.least)])
    return lines


def _limit(line: Sequence[tuple[float, float]], *, first: bool) -> dict[str, Any]:
    look = {"color": style.ROLES["quantized"].colour, "width": 1.5, "dash": "dash"}
    return {**_line(line, "Limit"), "showlegend": first, "line": look}


def _front(corners: Sequence[tuple[float, float]]) -> dict[str, Any]:
    return {**_line(corners, "Pareto front"), "line": {"color": style.INK, "dash": "dot", "width": 1, "shape": "hv"}}


def _line(corners: Sequence[tuple[float, float]], name: str) -> dict[str, Any]:
    x, y = zip(*corners, strict=True)
    return {"x": x, "y": y, "mode": "lines", "name": name, "hoverinfo": "skip"}


def _marks(points: Sequence[Point]) -> dict[str, Any]:
    look, symbols = style.look(points[0].role), [style.look(point.role).symbol for point in points]
    if not points[0].fits:
        look = look._replace(label="Outside the limits", colour=style.INK)
    return {
        "x": [point.size for point in points],
        "y": [point.accuracy for point in points],
        "mode": "markers",
        "opacity": 1.0 if points[0].fits else 0.5,
        "marker": {"color": look.colour, "symbol": symbols, "size": 11},
        "name": look.label,
        "legendgroup": look.label,
        "hovertext": [point.sentence for point in points],
        "hoverinfo": "text",
        "cliponaxis": False,
    }


def _ring(best: tuple[float, float]) -> dict[str, Any]:
    return {
        "x": [best[0]],
        "y": [best[1]],
        "mode": "markers",
        "name": "Best so far",
        "hoverinfo": "skip",
        "cliponaxis": False,
        "marker": {
            "symbol": "circle-open",
            "size": 22,
            "line": {"width": 2.5},
            "color": style.ROLES["quantized"].colour,
        },
    }


def importances(found: Mapping[str, float]) -> go.Figure:
    """Bars of how much each setting matters (Optuna's PED-ANOVA), which add up to 1; the most important first."""
    ranked = sorted(found.items(), key=lambda one: -one[1])[:MOST_BARS]
    first = [(name, share) for name, share in ranked if share >= LEAST_SHARE]
    return style.figure(
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": [100 * share for _, share in reversed(first)],
                "y": [words(name) for name, _ in reversed(first)],
                "text": [format.percent(share) for _, share in reversed(first)],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": style.ROLES["teacher"].colour},
                "hoverinfo": "skip",
            }
        ],
        f"{words(first[0][0]).capitalize()} decides most about whether a candidate is good",
        x={"title": "Importance (%)", "range": [0, 115]},
        y={"title": "", "type": "category", "showgrid": False},
        height=130 + 34 * len(first),
    )
