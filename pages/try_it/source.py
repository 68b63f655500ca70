"""Where the input comes from: a drawing, a file, a camera or the test split; and what is done to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.data.pictures.names import SUFFIXES, Refused
from kdcore.data.pictures.single import MOST_BYTES, open_picture
from kdcore.tryout.manner import Manner, manner
from kdcore.tryout.prepare import NothingThere, Seen, drawn, pictured
from kdcore.tryout.strokes import BadDrawing, strokes
from pages.shared import gallery, soft, store
from pages.shared.store import Pictures
from pages.shared.text import plain
from pages.try_it.canvas import canvas
from pages.try_it.variants import Chosen

DRAW, UPLOAD, CAMERA, TEST = "draw", "upload", "camera", "test"
KINDS = {
    DRAW: "Draw",
    UPLOAD: "Upload",
    CAMERA: "Camera",
    TEST: "Test image",
}


def kinds(style: Manner) -> list[str]:
    """The kinds of input that make sense, the usual one first: photographs cannot be drawn."""
    return [TEST, UPLOAD, CAMERA] if style.ground is None else [DRAW, UPLOAD, CAMERA, TEST]


def choose(kind: str, models: list[Chosen], pictures: Pictures, style: Manner) -> Seen | None:
    """The input in the shape that the networks take; None while there is none, and the page says what to do."""
    try:
        if kind == DRAW:
            return _drawing(style, pictures.several)
        if kind == TEST:
            shown = [soft.Chosen(one.name, one.role, store.logits(one.key)) for one in models]
            return Seen(pictures.images[gallery.pick(pictures, shown)], ("unchanged: a test image",))
        return _picture(kind, style, pictures.several)
    except (NothingThere, BadDrawing) as error:
        st.info(plain(str(error)))
        return None


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
def manner_of(fingerprint: str) -> Manner:
    """How the images of this data set look, which must be in the workspace."""
    pictures: Any = store.pictures(fingerprint)
    return manner(pictures.images)
