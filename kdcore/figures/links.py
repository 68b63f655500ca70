"""Names in figures are other people's words: plotly would make links of tags in them."""

from __future__ import annotations

import re

import plotly.graph_objects as go
from plotly.io import from_json

LINK = re.compile(r"(?:<|\\u003c)(?=\s*a\b)", re.IGNORECASE)  # in the figure's JSON


def without_links(figure: go.Figure) -> go.Figure:
    """The figure with tags of links as text."""
    document = figure.to_json()
    return from_json(LINK.sub("&lt;", document)) if LINK.search(document) else figure
