"""A chart that plotly.js draws by itself. Streamlit's own chart is drawn several times before it stands, loses its zoom
when its data change, cannot fill a projector, and fades every other point when one is clicked."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import plotly
import plotly.graph_objects as go
import streamlit as st
from plotly.io import templates
from starlette.requests import Request
from starlette.responses import FileResponse

from kdcore.figures.links import without_links
from kdcore.figures.style import CLEAR

SOURCE = "/kdcore/plotly.min.js"  # served by app.py; a version of plotly has its own address
BACKGROUNDS = {"light": "#FFFFFF", "dark": "#14171C"}  # this and the next three as in .streamlit/config.toml
LETTERING = {"light": "#1B1F24", "dark": "#E8EBEE"}
QUIET = {"light": "#6A6F75", "dark": "#9AA0A6"}
EDGES = {"light": "#D8DEE4", "dark": "#363D46"}
CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "toImage"],
}
WIDTH, HEIGHT, SCALE = 800, 450, 3.2  # pixels and their factor: 2560 x 1440, with letters that a projector shows large
TITLE = {"automargin": True, "yref": "container", "y": 1, "yanchor": "top", "x": 0, "pad": {"t": 12, "l": 8, "b": 8}}
LETTERS = 84  # of a title in one line of such a picture

templates.default = None  # a figure gets its template in the browser: in each it would be most of what is sent

HTML = """
<div class="kdcore-plot">
  <div class="pictures">
    <button class="png" type="button">PNG</button>
    <button class="svg" type="button">SVG</button>
  </div>
  <div class="frame"><div class="chart" role="figure"></div></div>
</div>
"""

CSS = """
.kdcore-plot .frame { overflow: hidden }
.kdcore-plot .chart { transform-origin: 0 0 }
.kdcore-plot .pictures { display: flex; gap: 0.5rem; justify-content: flex-end }
.kdcore-plot .pictures[hidden] { display: none }
.kdcore-plot .pictures button {
  font: inherit; font-size: 0.875rem; padding: 0.3rem 0.9rem; cursor: pointer; color: var(--st-text-color);
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius);
}
.kdcore-plot .pictures button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px }
"""

JS = """
const watches = new WeakMap()
const margins = new Map()  // that a chart's labels needed: with them plotly.js draws the next one like it only once
let loading

const library = source => loading ??= new Promise((resolve, reject) => {
  const script = document.createElement("script")
  script.src = source
  script.onload = () => resolve(window.Plotly)
  script.onerror = () => { loading = undefined; reject(new Error("plotly.js did not load")) }
  document.head.append(script)
})

const saved = async (Plotly, chart, data, format) => {
  const { title, name, width, height, scale } = data.picture
  const layout = { ...chart.layout, title, ...data.ground }
  const tall = Math.max(height, data.least)
  const url = await Plotly.toImage(
    { data: chart.data, layout, config: data.config }, { format, width, height: tall, scale })
  const link = document.createElement("a")
  link.href = url
  link.download = name + "." + format
  link.click()
}

export default async function ({ data, parentElement, setTriggerValue }) {
  const find = name => parentElement.querySelector("." + name)
  const frame = find("frame"), chart = find("chart"), large = Boolean(data.picture)
  chart.setAttribute("aria-label", data.alt)
  find("pictures").hidden = !large
  if (!large) frame.style.height = `${data.height}px`  // what stands below stays there while plotly.js loads
  const Plotly = await library(data.source)
  const figure = JSON.parse(data.figure)
  const look = { uirevision: data.revision, template: data.template }

  const draw = async () => {
    const wide = frame.clientWidth
    if (!wide) return
    const room = window.innerHeight - data.around
    const times = large ? Math.max(1, Math.min(wide / data.picture.width, room / data.least)) : 1
    const height = large ? Math.max(data.least, room / times) : data.height
    chart.style.transform = times > 1 ? `scale(${times})` : ""
    chart.style.width = `${wide / times}px`
    frame.style.height = `${height * times}px`
    const like = `${data.revision} ${chart.style.width} ${height}`
    const margin = { ...figure.layout.margin, ...margins.get(like) }
    await Plotly.react(
      chart, figure.data, { ...figure.layout, ...look, margin, width: wide / times, height }, data.config)
    const found = chart._fullLayout?._size
    if (found) margins.set(like, { l: found.l, r: found.r, t: found.t, b: found.b })
    chart.removeAllListeners("plotly_click")
    if (data.picks) chart.on("plotly_click", event => setTriggerValue("picked", event.points[0].customdata))
  }
  for (const format of ["png", "svg"]) find(format).onclick = () => saved(Plotly, chart, data, format)
  watches.get(parentElement)?.disconnect()
  const watch = new ResizeObserver(draw)
  watches.set(parentElement, watch)
  watch.observe(frame)
  return () => {
    watch.disconnect()
    Plotly.purge(chart)
  }
}
"""

LOWEST = 320  # pixels: as low as a chart without rows may be
AROUND = 240  # pixels of the window's height that a dialog's title and edges take
_PLOT = st.components.v2.component("kdcore_plot", html=HTML, css=CSS, js=JS, isolate_styles=False)


async def library(request: Request) -> FileResponse:
    """plotly.js of the installed plotly, which the browser may keep: its address names the version."""
    path = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return FileResponse(path, media_type="text/javascript", headers={"Cache-Control": "max-age=31536000, immutable"})


def draw(figure: go.Figure, key: str, alt: str, pick: Callable[[Any], None] | None = None) -> None:
    """The chart in its place; zoom and hidden lines stay when it is drawn again with other data.

    `pick` is called with the `customdata` of a point that is clicked, before the page runs again.
    """
    _mount(figure, key, alt, "Source Sans, sans-serif", pick=pick)


def large(figure: go.Figure, key: str, title: str, name: str) -> None:
    """The chart as wide as its container and as high as the window, all in it enlarged, with buttons that save it as
    `name`.png and .svg under its title."""
    picture: dict[str, Any] = {"title": TITLE | {"text": "<br>".join(textwrap.wrap(title, LETTERS))}, "name": name}
    picture |= {"width": WIDTH, "height": HEIGHT, "scale": SCALE}
    _mount(figure, f"large_{key}", title, "Arial, sans-serif", picture=picture)


def _mount(
    figure: go.Figure,
    key: str,
    alt: str,
    font: str,
    *,
    picture: dict[str, Any] | None = None,
    pick: Callable[[Any], None] | None = None,
) -> None:
    theme, mounted = st.context.theme.type or "light", f"plot_{key}"
    ground = {"paper_bgcolor": BACKGROUNDS[theme], "plot_bgcolor": BACKGROUNDS[theme]}
    options: dict[str, Any] = {"on_picked_change": lambda: pick(st.session_state[mounted].picked)} if pick else {}
    _PLOT(
        key=mounted,
        data={
            "figure": without_links(figure.to_json()), "template": _template(theme, font), "ground": ground,
            "revision": _revision(figure, key), "height": figure.layout.height, "least": _least(figure),
            "around": AROUND, "alt": alt, "picture": picture, "picks": pick is not None, "config": CONFIG,
            "source": f"{SOURCE}?{plotly.__version__}",
        },
        **options,
    )  # fmt: skip


def _revision(figure: go.Figure, key: str) -> str:
    """Zoom and hidden lines last while this does: with the choices in the URL and the chart's axes."""
    layout = figure.layout
    return str([key, layout.xaxis.title.text, layout.yaxis.title.text, sorted(st.query_params.items())])


def _least(figure: go.Figure) -> float:
    """The height that a large chart needs at least, before it is enlarged: one with rows its own."""
    height = figure.layout.height
    rows = any(
        trace.type == "heatmap" or ("orientation" in trace and trace.orientation == "h") for trace in figure.data
    )
    return height if rows else min(height, LOWEST)


def _template(theme: Literal["light", "dark"], font: str) -> dict[str, Any]:
    """What a figure leaves open, in the colours and sizes of the page around it."""
    quiet, edge = {"color": QUIET[theme], "size": 12}, EDGES[theme]
    heading = {"font": {"color": QUIET[theme], "size": 14}}
    axis = {"automargin": True, "zeroline": False, "gridcolor": edge, "tickcolor": edge, "tickfont": quiet}
    colorbar = {"outlinewidth": 0, "thickness": 16, "tickfont": quiet, "title": heading}
    space = {"backgroundcolor": CLEAR, "gridcolor": edge, "zerolinecolor": edge, "showbackground": True}
    return {
        "layout": {
            "font": {"family": font, "size": 12, "color": QUIET[theme]},
            "legend": {"font": {"color": LETTERING[theme]}},
            "margin": {"pad": 8},
            "hoverlabel": {
                "align": "left", "bgcolor": BACKGROUNDS[theme], "bordercolor": edge,
                "font": {"family": font, "color": LETTERING[theme]},
            },
            "xaxis": {**axis, "showgrid": False, "title": {**heading, "standoff": 16}},
            "yaxis": {**axis, "title": {**heading, "standoff": 16}},
            "coloraxis": {"colorbar": colorbar},
            "scene": dict.fromkeys(("xaxis", "yaxis", "zaxis"), space),
        },
        "data": {"heatmap": [{"colorbar": colorbar}]},
    }  # fmt: skip
