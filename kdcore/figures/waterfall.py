"""Bytes step by step: of the file that runs, and of what is only to be stored, which is drawn hatched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures import style
from kdcore.report import format

Row = Mapping[str, Any]
# The sums of a coded file's rows (`kdcore.export.coded.pack`), in the order of Deep Compression's stages.
STORED = {
    "sparse_bytes": "zeros left out",
    "shared_bytes": "values shared",
    "coded_bytes": "Huffman-coded",
}
FEW_STEPS = 2  # fewer than that are no waterfall


class Bar(NamedTuple):
    """`bytes` of a file; `stored`: one that has to be unpacked before it runs."""

    label: str
    role: str
    bytes: int
    stored: bool

    @property
    def sentence(self) -> str:
        return f"{self.label}: {format.size(self.bytes)}" + (", storage only" if self.stored else "")


class Waterfall(NamedTuple):
    title: str
    bars: tuple[Bar, ...]


def chain(rows: Sequence[Row]) -> list[Row]:
    """The last row, after those that it was made from, each from the one before; `rows` are one run's."""
    named = {row["variant"]: row for row in rows}
    found = [rows[-1]] if rows else []
    while found and found[0]["parent"] in named:
        found.insert(0, named[found[0]["parent"]])
    return found


def waterfall(rows: Sequence[Row], stored: Sequence[Row] = ()) -> go.Figure | None:
    """The bytes of a `chain` of the comparison's rows; `stored`: the rows of its coded file, where there is one.

    None where there is too little to see: fewer than two steps, and no coded file.
    """
    view = waterfall_view(rows, stored)
    return _figure(view) if view else None


def waterfall_view(rows: Sequence[Row], stored: Sequence[Row] = ()) -> Waterfall | None:
    files = [Bar(row["variant"], row["role"], row["size_bytes"], stored=False) for row in rows if row["size_bytes"]]
    if len(files) <= (0 if stored else FEW_STEPS):
        return None
    last = files[-1]
    sums = {name: sum(row[name] for row in stored) for name in STORED} if stored else {}
    kept = [Bar(STORED[name], last.role, count, stored=True) for name, count in sums.items()]
    return Waterfall(_title(files, kept), (*files, *kept))


def _title(files: Sequence[Bar], kept: Sequence[Bar]) -> str:
    first, last = files[0], files[-1]
    if kept:
        return f"{format.times(first.bytes / kept[-1].bytes)} fewer bytes to store; the file that runs is " + (
            "as large as before" if abs(last.bytes / first.bytes - 1) < 0.02 else _smaller(first, last)
        )
    most = max(pairwise(files), key=lambda pair: pair[0].bytes / pair[1].bytes)
    return f"The file that runs is {_smaller(first, last)} than {first.label}; {most[1].label} saves most"


def _smaller(before: Bar, after: Bar) -> str:
    if after.bytes > before.bytes:
        return f"{format.times(after.bytes / before.bytes)} larger"
    return f"{format.times(before.bytes / after.bytes)} smaller"


def _figure(view: Waterfall) -> go.Figure:
    """Two traces, so that the legend explains solid and hatched."""
    traces = [
        _trace([bar for bar in view.bars if bar.stored == stored], stored)
        for stored in (False, True)
        if any(bar.stored == stored for bar in view.bars)
    ]
    most = max(bar.bytes for bar in view.bars) / 1000
    return style.figure(
        traces,
        view.title,
        x={"title": "Size (kB)", "range": [0, 1.3 * most]},
        y={
            "title": "",
            "type": "category",
            "showgrid": False,
            "autorange": "reversed",
            "categoryarray": [bar.label for bar in view.bars],
        },
        height=140 + 34 * len(view.bars),
        barmode="overlay",
        bargap=0.35,
    )


def _trace(bars: Sequence[Bar], stored: bool) -> dict[str, Any]:
    colours = [style.look(bar.role).colour for bar in bars]
    fill = [style.tint(colour, 0.15) for colour in colours] if stored else colours
    return {
        "type": "bar",
        "orientation": "h",
        "x": [bar.bytes / 1000 for bar in bars],
        "y": [bar.label for bar in bars],
        "name": "Storage only" if stored else "The file that runs",
        "text": [format.size(bar.bytes) for bar in bars],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertext": [bar.sentence for bar in bars],
        "hoverinfo": "text",
        "marker": {
            "color": fill,
            "line": {"color": colours, "width": 1.5 if stored else 0},
            "pattern": {"shape": "/" if stored else "", "fgcolor": colours},
        },
    }
