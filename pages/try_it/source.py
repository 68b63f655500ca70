"""Where the input comes from: a drawing, a file, a camera or the test split; and what is done to it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.data.pictures.names import SUFFIXES, Refused
from kdcore.data.pictures.single import MOST_BYTES, open_picture
from kdcore.inputs.kind import Items
from kdcore.inputs.tokens import Texts
from kdcore.inputs.wordpiece import MissingExtra
from kdcore.tryout.manner import Manner, manner
from kdcore.tryout.prepare import NothingThere, Seen, drawn, pictured
from kdcore.tryout.strokes import BadDrawing, strokes
from pages.shared import gallery, soft, store
from pages.shared.store import Pictures
from pages.shared.text import plain
from pages.try_it.canvas import canvas
from pages.try_it.variants import Chosen

DRAW, UPLOAD, CAMERA, TYPE, CONTINUE, TEST = "draw", "upload", "camera", "type", "continue", "test"
LONGEST = 1000  # characters of a text
KINDS = {
    DRAW: "Draw",
    UPLOAD: "Upload",
    CAMERA: "Camera",
    TYPE: "Type",
    CONTINUE: "Continue",
    TEST: "Test {}",
}


class Given(NamedTuple):
    """A single item of the data set's kind. `done`: what was done to make it, one phrase a step."""

    item: Items
    done: tuple[str, ...]


def kinds(pictures: Pictures, style: Manner | None) -> list[str]:
    """The kinds of input that make sense, the usual one first: photographs cannot be drawn."""
    ways = list(pictures.kind.sources)
    if style is not None and style.ground is None:
        return [TEST, *(way for way in ways if way != DRAW)]
    return [*ways, TEST]


def choose(kind: str, models: list[Chosen], pictures: Pictures, style: Manner | None) -> Given | None:
    """The input in the shape that the networks take; None while there is none, and the page says what to do."""
    try:
        if kind == TEST:
            shown = [soft.Chosen(one.name, one.role, store.logits(one.key)) for one in models]
            number = gallery.pick(pictures, shown)
            return Given(pictures.images[number : number + 1], (f"unchanged: a test {pictures.kind.one}",))
        if kind == TYPE:
            return _typed(pictures)
        assert style
        seen = _drawing(style, pictures.several) if kind == DRAW else _picture(kind, style, pictures.several)
        return Given(seen.image[None], seen.done) if seen else None
    except (NothingThere, BadDrawing, MissingExtra) as error:
        st.info(plain(str(error)))
        return None


def _typed(pictures: Pictures) -> Given | None:
    """A text, as the data set's tokenizer reads it."""
    text = st.text_input("Text", pictures.images.text(0), max_chars=LONGEST, key="typed", persist_state="session")
    if not text.strip():
        st.info("Type a text to see the answers.")
        return None
    return Given(Texts.of([text], pictures.images.tokenizer), ("read as typed",))


def _drawing(style: Manner, several: bool) -> Seen:
    sent = canvas(
        "Draw here with mouse, finger or pen", proportion=style.height / style.width, ground=style.ground or 0
    )
    return drawn(strokes(sent), style, whole=several)


def _picture(kind: str, style: Manner, several: bool) -> Seen | None:
    """A file or a photograph."""
    if kind == UPLOAD:
        sent = st.file_uploader("Picture", [suffix[1:] for suffix in SUFFIXES], max_upload_size=MOST_BYTES // 10**6)
    else:
        sent = st.camera_input("Photograph")
    marks = style.ground is not None and not several
    as_marks = marks and st.toggle(
        "Crop and centre the mark", value=True, key="try_as_marks",
        help="Finds the mark on its background, then crops, centres and scales it as in the data set.",
    )  # fmt: skip
    if sent is None:
        what = "Choose a picture" if kind == UPLOAD else "Take a photograph"
        st.info(f"{what} to see the answers." + (" Dark pen on plain paper works best." if marks else ""))
        return None
    try:
        return pictured(_opened(sent.getvalue()), style, as_marks=as_marks)
    except Refused as error:
        st.error(plain(str(error)), title="This picture cannot be used")
        return None


@st.cache_data(max_entries=16, show_spinner="Opening the picture")
def _opened(content: bytes) -> NDArray[np.uint8]:
    return open_picture(content)


@st.cache_data(max_entries=16, show_spinner=False)
def manner_of(fingerprint: str) -> Manner | None:
    """How the images of this data set look, which must be in the workspace; None of other inputs."""
    pictures: Any = store.pictures(fingerprint)
    return manner(pictures.images) if DRAW in pictures.kind.sources else None
