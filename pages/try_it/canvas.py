"""A canvas to draw on with mouse, finger or pen. What is drawn comes back as strokes, not as a picture."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kdcore.tryout.strokes import PEN, UNITS

KEPT = "try_strokes"  # in the session: what is drawn, also after a visit to another page

HTML = """
<label id="label"></label>
<canvas id="canvas" role="img" tabindex="0" aria-labelledby="label"></canvas>
<div class="row">
  <button id="undo" type="button">Undo</button>
  <button id="clear" type="button">Clear</button>
</div>
"""

CSS = """
:host, .root { display: block }
label { display: block; font-size: 0.875rem; margin-bottom: 0.35rem; color: var(--st-text-color) }
canvas {
  display: block; width: 100%; max-width: 232px; touch-action: none; cursor: crosshair;
  border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius);
}
canvas:focus-visible, button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px }
.row { display: flex; gap: 0.5rem; margin-top: 0.5rem }
button {
  font: inherit; font-size: 0.875rem; padding: 0.3rem 0.9rem; cursor: pointer; color: var(--st-text-color);
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius);
}
button:disabled { opacity: 0.45; cursor: default }
"""

# Python never changes the strokes of a mounted canvas, so what it sends is read once: an answer that is late does not
# take a stroke away that is being drawn.
JS = """
const canvases = new WeakMap()

export default function (component) {
  const { data, parentElement, setStateValue } = component
  const find = name => parentElement.querySelector("#" + name)
  const canvas = find("canvas"), undo = find("undo"), clear = find("clear")
  const known = canvases.get(parentElement)
  const state = known ?? { strokes: structuredClone(data.strokes), pointer: null }
  canvases.set(parentElement, state)
  find("label").textContent = data.label
  canvas.width = 560
  canvas.height = Math.round(560 * data.proportion)

  const paint = () => {
    const brush = canvas.getContext("2d")
    brush.fillStyle = data.ground
    brush.fillRect(0, 0, canvas.width, canvas.height)
    brush.strokeStyle = brush.fillStyle = data.ink
    brush.lineCap = brush.lineJoin = "round"
    brush.lineWidth = data.pen / data.units * Math.max(canvas.width, canvas.height)
    for (const stroke of state.strokes) {
      brush.beginPath()
      stroke.forEach(([x, y], place) => {
        const at = [x / data.units * canvas.width, y / data.units * canvas.height]
        place ? brush.lineTo(...at) : brush.moveTo(...at)
        if (stroke.length === 1) brush.lineTo(at[0] + 0.1, at[1])
      })
      brush.stroke()
    }
    undo.disabled = clear.disabled = !state.strokes.length
  }
  const send = () => { paint(); setStateValue("strokes", structuredClone(state.strokes)) }
  const point = event => {
    const box = canvas.getBoundingClientRect()
    const within = share => Math.round(data.units * Math.min(1, Math.max(0, share)))
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)]
  }
  const undone = () => { if (state.strokes.length) { state.strokes.pop(); send() } }

  canvas.onpointerdown = event => {
    if (state.pointer !== null || event.button !== 0) return
    state.pointer = event.pointerId
    canvas.setPointerCapture(event.pointerId)
    state.strokes.push([point(event)])
    paint()
  }
  canvas.onpointermove = event => {
    if (event.pointerId !== state.pointer) return
    const stroke = state.strokes.at(-1), [x, y] = point(event), [lastX, lastY] = stroke.at(-1)
    if (Math.hypot(x - lastX, y - lastY) < 4) return
    stroke.push([x, y])
    paint()
  }
  canvas.onpointerup = canvas.onpointercancel = event => {
    if (event.pointerId !== state.pointer) return
    state.pointer = null
    send()
  }
  canvas.onkeydown = event => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); undone() }
  }
  undo.onclick = undone
  clear.onclick = () => { state.strokes.length = 0; send() }
  paint()
}
"""

_CANVAS = st.components.v2.component("kdcore_canvas", html=HTML, css=CSS, js=JS)


def canvas(label: str, *, proportion: float, ground: int) -> Any:
    """Shows the canvas and returns what is drawn on it, as the browser sent it.

    `proportion`: height by width. `ground`: 0 for a black canvas, 255 for a white one.
    """
    black, white = "#000000", "#FFFFFF"

    def keep() -> None:
        st.session_state[KEPT] = st.session_state["try_canvas"].get("strokes", [])

    _CANVAS(
        key="try_canvas",
        data={
            "label": label, "strokes": st.session_state.get(KEPT, []), "pen": PEN, "units": UNITS,
            "proportion": proportion, "ground": white if ground else black, "ink": black if ground else white,
        },
        on_strokes_change=keep,
    )  # fmt: skip
    return st.session_state.get(KEPT, [])
