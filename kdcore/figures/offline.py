"""HTML pages that open without a network: plotly.js, figures and styles are inside."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
from jinja2 import Environment
from markupsafe import Markup
from plotly.io import from_json
from plotly.offline import get_plotlyjs

from kdcore.figures.links import without_links
from kdcore.report.names import printable


class Drawn(NamedTuple):
    """A figure in HTML below its title, which wraps where plotly's does not."""

    title: str
    html: Markup


def page(template: Path, **values: Any) -> str:
    """The Jinja template filled in. Text is escaped and cannot move a cursor; `plotly` is plotly.js."""
    filled: str = _template(template).render(plotly=Markup(get_plotlyjs()), **values)
    return filled


def drawn(figure: go.Figure, *, toolbar: bool = True) -> Drawn:
    """A figure for such a page."""
    title, figure = figure.layout.title.text or "", from_json(without_links(figure.to_json()))
    figure.update_layout(title=None, template="plotly_white", autosize=True)
    config: dict[str, Any] = {"displaylogo": False, "showSendToCloud": False, "responsive": True}
    if not toolbar:
        config["displayModeBar"] = False
    return Drawn(title, Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config)))


@cache
def _template(path: Path) -> Any:
    return Environment(autoescape=True, finalize=_safe).from_string(path.read_text("utf-8"))


def _safe(value: Any) -> Any:
    """Line by line, so that a recipe keeps its lines."""
    return "\n".join(map(printable, value.split("\n"))) if type(value) is str else value
