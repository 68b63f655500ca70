"""Choosing a test image: the chosen one large, and a gallery with filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore.inputs.kind import Shown
from pages.shared import links
from pages.shared.soft import Chosen
from pages.shared.store import Pictures
from pages.shared.text import plain
from pages.shared.thumbnails import Tile, thumbnails

SHOWN = 12
SIDE = 160  # pixels a side at least: small images are enlarged here, so that the browser does not blur them
ALL = "All"
WRONG = "Teacher wrong"
APART = "Student and teacher disagree"
UNSURE = "Teacher least confident"


def pick(pictures: Pictures, models: list[Chosen], hidden: Sequence[str] = ()) -> int:
    """The chosen image's number in the test split; it is `?image=` in the URL. At first one of a class that was hidden
    from the student, or one that shows something."""
    usual = _first(pictures, hidden)
    image = links.number("image", len(pictures.labels), default=usual)
    with st.container(border=True, horizontal_alignment="center"):
        name = pictures.name(image)
        one = pictures.kind.one
        draw(pictures.kind.shown(pictures.images, image), f"Test {one} {image}, labelled {name}", width=200)
        st.caption(f"Test {one} {image}, labelled **{plain(name)}**", text_alignment="center")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.selectbox(
            pictures.kind.many.capitalize(), [ALL, UNSURE, WRONG, APART], key="gallery_which", persist_state="session"
        )
        of = st.selectbox("Class", [ALL, *pictures.classes], key="gallery_class", persist_state="session")
    found = fitting(pictures, models, which, of)
    if not len(found):
        st.caption(f"No {pictures.kind.one} matches the filters.")
        return image
    pages = -(-len(found) // SHOWN)
    page = min(st.session_state.get("gallery_page", 1), pages)
    shown = [int(number) for number in found[(page - 1) * SHOWN : page * SHOWN]]
    tiles = [
        Tile(number, pictures.name(number), pictures.kind.shown(pictures.images, number), pictures.kind.one)
        for number in shown
    ]
    thumbnails(f"Test {pictures.kind.many}", tiles, image, "gallery", _choose)
    if pages > 1:
        st.pagination(pages, key="gallery_page", max_visible_pages=3)
    return image


def draw(shown: Shown, alt: str, width: int = 160) -> None:
    """One input: its picture `width` pixels wide, or its text. `alt`: what the picture is."""
    if shown.picture is not None:
        st.image(enlarged(shown.picture), width=width, alt=alt)
    else:
        st.markdown(f"#### {plain(shown.text)}", text_alignment="center")


def _first(pictures: Pictures, hidden: Sequence[str]) -> int:
    if pictures.several:
        return int(pictures.labels.any(axis=1).argmax())
    unseen = [index for index, name in enumerate(pictures.classes) if name in hidden]
    return int(np.isin(pictures.labels, unseen).argmax())


def _choose(number: int) -> None:
    links.put("image", str(number))


def numbered(count: int, key: str, one: str = "image", **widget: Any) -> int | None:
    """A test image, or whatever `one` of the inputs is called, by its number, from 0 to below `count`; None for any
    other, which the page says.

    The box has no bounds: a browser would keep the old value and say nothing.
    """
    typed = st.number_input(f"Test {one}", value=0, step=1, key=key, help=f"From 0 to {count - 1}.", **widget)
    if 0 <= typed < count:
        return int(typed)
    st.error(f"There are {count} test {one}s: enter a number from 0 to {count - 1}.")
    return None


def fitting(pictures: Pictures, models: list[Chosen], which: str, of: str) -> NDArray[np.intp]:
    """Numbers of the test images that pass both filters. The first model is the teacher."""
    found = np.arange(len(pictures.labels))
    if of != ALL:
        wanted = pictures.classes.index(of)
        found = found[pictures.labels[:, wanted] == 1 if pictures.several else pictures.labels == wanted]
    answers = [_decided(model.logits[found], pictures.several) for model in models]
    labels = pictures.labels[found].reshape(len(found), -1)
    if which == WRONG:
        return found[(answers[0] != labels).any(axis=1)]
    if which == APART:
        apart = [(answer != answers[0]).any(axis=1) for answer in answers[1:]]
        return found[np.any(apart, axis=0)] if apart else found[:0]
    if which == UNSURE:
        return found[np.argsort(_margin(models[0].logits[found], pictures.several), kind="stable")]
    return found


def _decided(logits: NDArray[np.float32], several: bool) -> NDArray[Any]:
    """(N, 1) the chosen class, or (N, K) yes or no of each."""
    return logits > 0 if several else logits.argmax(axis=1)[:, None]


def _margin(logits: NDArray[np.float32], several: bool) -> NDArray[np.float32]:
    """How far each answer is from changing."""
    if several:
        return np.abs(logits).min(axis=1)
    top = np.sort(logits, axis=1)
    return top[:, -1] - top[:, -2]


def enlarged(picture: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """(H, W, C) with every pixel repeated until the longer side has at least `side`; grey without its channel."""
    times = max(1, -(-side // max(picture.shape[:2])))
    large = picture.repeat(times, axis=0).repeat(times, axis=1)
    return large[..., 0] if large.shape[-1] == 1 else large
