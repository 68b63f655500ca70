"""Small images, or texts, of which one is chosen, by a click on it or with the keyboard."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from kdcore.inputs.kind import Shown

CSS = """
#grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(70px, 1fr)); gap: 0.5rem }
button {
  font: inherit; font-size: 0.875rem; padding: 0.25rem; cursor: pointer; color: var(--st-text-color);
  background: none; border: 2px solid transparent; border-radius: var(--st-base-radius); overflow: hidden;
}
button:hover { border-color: var(--st-border-color) }
button[aria-pressed=true] { border-color: var(--st-primary-color) }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; image-rendering: pixelated }
q { display: block; quotes: none; font-weight: 600; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
span { display: block; padding-top: 0.15rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
"""

JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector("#grid")
  grid.setAttribute("aria-label", data.label)
  grid.replaceChildren(...data.tiles.map(({ number, name, alt, source, text }) => {
    const button = document.createElement("button"), words = document.createElement("span")
    const shown = document.createElement(source ? "img" : "q")
    button.type = "button"
    button.dataset.number = number
    button.setAttribute("aria-pressed", number === data.chosen)
    if (source) Object.assign(shown, { src: source, alt })
    else shown.textContent = shown.title = text
    words.textContent = button.title = name
    button.append(shown, words)
    button.onclick = () => setTriggerValue("picked", number)
    return button
  }))
}
"""

_GRID = st.components.v2.component("kdcore_thumbnails", html='<div id="grid" role="group"></div>', css=CSS, js=JS)


class Tile(NamedTuple):
    """An input, its number, what stands below it, and what it is `called`."""

    number: int
    name: str
    shown: Shown
    called: str = "image"


def thumbnails(label: str, tiles: Sequence[Tile], chosen: int, key: str, pick: Callable[[int], None]) -> None:
    """Shows the images; `pick` is called with the number of the one that is clicked, before the page runs again."""
    _GRID(
        key=key,
        data={
            "label": label, "chosen": chosen,
            "tiles": [
                {
                    "number": one.number, "name": one.name, "alt": f"Test {one.called} {one.number}",
                    "source": None if one.shown.picture is None else _source(one.shown.picture), "text": one.shown.text,
                }
                for one in tiles
            ],
        },
        on_picked_change=lambda: pick(int(st.session_state[key].picked)),
    )  # fmt: skip


def _source(image: NDArray[np.uint8]) -> str:
    """The image as a data: URL of a PNG with its own pixels; the browser enlarges them unblurred."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
