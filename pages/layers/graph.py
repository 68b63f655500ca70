"""Both networks as graphs, from their deployed files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from kdcore.export.network import Node, network
from kdcore.figures.graph import Network, graph
from pages.layers.layer_view import NONE, LayerView
from pages.shared import charts, store
from pages.shared.store import Identity
from pages.shared.text import plain


def show(named: Mapping[str, LayerView]) -> None:
    """The graph of each of these variants, by the names that the page gives them."""
    found = [drawn for name, one in named.items() if one.report["layers"] and (drawn := _network(name, one))]
    if not found:
        st.caption(NONE)
        return
    for column, one in zip(st.columns(2, gap="medium"), found, strict=False):
        others = [other for other in found if other is not one]
        with column, st.container(border=True):
            charts.show(graph(one, *others), key=f"graph_{one.name}")
    st.caption(
        "Large and in colour: shape, bits, zeros or rank of the layer differ from the other variant's. After the name, "
        "the shape of its output. Hover for the numbers."
    )


def _network(name: str, one: LayerView) -> Network | None:
    path = store.workspace().model(one.key) / "model.onnx"
    shape = store.plan(one.run).dataset["shape"]
    try:
        nodes = _nodes(str(path), tuple(shape), store.identity(path))
    except ValueError as error:
        st.warning(plain(str(error)))
        return None
    return Network(name, one.role, nodes, one.report["layers"])


@st.cache_data(max_entries=50, show_spinner=False)
def _nodes(path: str, shape: tuple[int, ...], identity: Identity | None) -> list[Node]:
    return network(Path(path), shape)
