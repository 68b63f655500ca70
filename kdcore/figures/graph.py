"""A network as a graph: its layers from the images down, the ways between them, and what differs from another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.export.network import Node
from kdcore.figures import style
from kdcore.report import format

MOST = 40  # rows; of longer networks each row is a block of layers
ROW = 26  # pixels
COMPARED = ("type", "shape", "bits", "zeros", "rank")  # of a layer's report


class Network(NamedTuple):
    """A variant's graph, and the `layers` of its report."""

    name: str
    role: str
    nodes: Sequence[Node]
    layers: Sequence[Mapping[str, Any]]


class Row(NamedTuple):
    """A node or a block of them. `changed`: what differs from the other network, in words; `inputs`: earlier rows."""

    text: str
    hover: str
    changed: str
    inputs: tuple[int, ...]


class Graph(NamedTuple):
    title: str
    role: str
    rows: tuple[Row, ...]


def graph(one: Network, other: Network | None = None) -> go.Figure:
    """The network with its layers below one another, arcs for what skips some, and layers that differ in colour."""
    return _figure(graph_view(one, other))


def graph_view(one: Network, other: Network | None = None) -> Graph:
    blocks = _blocks(one.nodes)
    row_of = {place: at for at, block in enumerate(blocks) for place in block}
    known = {layer["name"]: layer for layer in one.layers}
    changes = _changes(known, other)
    rows = []
    for at, block in enumerate(blocks):
        inputs = {row_of[before] for place in block for before in one.nodes[place].inputs} - {at}
        rows.append(_row([one.nodes[place] for place in block], known, changes, tuple(sorted(inputs))))
    return Graph(_title(one, other, changes), one.role, tuple(rows))


def _blocks(nodes: Sequence[Node]) -> list[list[int]]:
    """Places of the nodes of each row: single nodes, or where they are many the layers whose names begin alike."""
    rows = [[place] for place in range(len(nodes))]
    depth = max((node.layer.count(".") for node in nodes if node.layer), default=0)
    while len(rows) > MOST and depth:
        rows = _folded(nodes, depth)
        depth -= 1
    return rows


def _folded(nodes: Sequence[Node], depth: int) -> list[list[int]]:
    """Rows of layers whose names share the first `depth` parts; what has no weights goes with the layer before."""
    rows: list[list[int]] = []
    last: str | None = None
    for place, node in enumerate(nodes):
        block = ".".join(node.layer.split(".")[:depth]) if node.layer else last
        if rows and block is not None and block == last:
            rows[-1].append(place)
        else:
            rows.append([place])
        last = block
    return rows


def _changes(known: Mapping[str, Mapping[str, Any]], other: Network | None) -> dict[str, str]:
    """By layer what differs from the layer of the same name: "bits 32 to 8, shape 32×16×3×3 to 16×8×3×3"."""
    if other is None:
        return {}
    before = {layer["name"]: layer for layer in other.layers}
    found = {}
    for name, layer in known.items():
        if name not in before:
            found[name] = "new"
            continue
        differing = [what for what in COMPARED if layer.get(what) != before[name].get(what)]
        if differing:
            found[name] = ", ".join(
                f"{what} {_value(before[name].get(what))} to {_value(layer.get(what))}" for what in differing
            )
    return found


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "×".join(map(str, value))
    return format.count(value) if isinstance(value, int) else str(value or format.MISSING)


def _row(
    nodes: Sequence[Node], known: Mapping[str, Mapping[str, Any]], changes: Mapping[str, str], inputs: tuple[int, ...]
) -> Row:
    names = [node.layer for node in nodes if node.layer]
    layers = [known[name] for name in names if name in known]
    name = _common(names) if names else nodes[0].operator
    shape = "×".join(map(str, nodes[-1].shape))
    kinds = f"{len(names)} layers" if len(names) > 1 else " + ".join((nodes[0].operator, *nodes[0].then))
    changed = "<br>".join(
        f"{one}: {changes[one]}" if len(names) > 1 else changes[one] for one in names if one in changes
    )
    lines = [f"<b>{name}</b>: {kinds}", f"Output {shape}" if shape else ""]
    if layers:
        lines += [
            f"{format.count(sum(layer['params'] for layer in layers))} parameters, "
            f"{format.count(sum(layer['macs'] for layer in layers))} MACs"
        ]
    if len(layers) == 1:
        lines += [f"Weights {_value(layers[0]['shape'])}, {layers[0]['bits']} bits, "
                  f"{format.percent(layers[0]['sparsity'])} zeros"]  # fmt: skip
    if len(layers) == 1 and layers[0].get("sqnr_db") is not None:
        lines += [f"Output SQNR {format.decibels(layers[0]['sqnr_db'])}"]
    if changed:
        lines += [f"Changed: {changed}"]
    text = f"{name} · {shape}" if shape and name != nodes[0].operator else f"{nodes[0].operator} {shape}".strip()
    return Row(text, "<br>".join(filter(None, lines)), changed, inputs)


def _common(names: Sequence[str]) -> str:
    """What the names begin with, up to a dot; the name where there is one."""
    if len(names) == 1:
        return names[0]
    parts = [name.split(".") for name in names]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared) or names[0]


def _title(one: Network, other: Network | None, changes: Mapping[str, str]) -> str:
    name, layers = one.name[:1].upper() + one.name[1:], format.plural(len(one.layers), "layer")
    if other is None:
        return f"{name}: {layers} with weights"
    if not changes:
        return f"{name}: {layers} with the shapes, bits, zeros and ranks of {other.name}"
    return f"{name}: {len(changes)} of {layers} differ from {other.name}"


def _figure(view: Graph) -> go.Figure:
    colour, count = style.look(view.role).colour, len(view.rows)
    boxes = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [0] * count,
        "y": list(range(count)),
        "text": [row.text for row in view.rows],
        "textposition": "middle right",
        "marker": {
            "symbol": "square",
            "size": [14 if row.changed else 8 for row in view.rows],
            "color": [colour if row.changed else style.INK for row in view.rows],
            "opacity": 1,
        },
        "hovertext": [row.hover for row in view.rows],
        "hoverinfo": "text",
        "cliponaxis": False,
    }  # fmt: skip
    hidden = {"title": "", "showgrid": False, "showticklabels": False, "fixedrange": True}
    return style.figure(
        [_ways(view), boxes],
        view.title,
        x={**hidden, "range": [-0.45, 1.2]},
        y={**hidden, "range": [count - 0.5, -0.5]},
        height=40 + ROW * max(count, 4),
        showlegend=False,
        hovermode="closest",
    )


def _ways(view: Graph) -> dict[str, Any]:
    """One line from row to row, and arcs at the left for those that skip rows, wider the more they skip."""
    x: list[float | None] = []
    y: list[float | None] = []
    for at, row in enumerate(view.rows):
        for before in row.inputs:
            reach = 0.0 if at - before == 1 else min(0.4, 0.06 + 0.03 * (at - before))
            x += [0, -reach, -reach, 0, None]
            y += [before, before + 0.3, at - 0.3, at, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": style.INK, "width": 1.5},
        "hoverinfo": "skip",
    }
