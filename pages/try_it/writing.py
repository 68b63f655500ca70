"""What language models write after a beginning, one variant beside the other."""

from __future__ import annotations

import streamlit as st

from kdcore.report import format
from kdcore.tryout.writing import Written, written
from pages.shared import roles
from pages.shared.store import Pictures
from pages.shared.text import plain
from pages.try_it.variants import Chosen

BEGINNING = "def read(self, size=-1):\n    "
MOST = 600  # characters that are written
COLUMNS = 3


def show(models: list[Chosen], pictures: Pictures) -> None:
    """The beginning on the left, what every variant makes of it on the right."""
    left, right = st.columns([1, 2.4], gap="medium")
    with left:
        beginning = st.text_area(
            "Beginning", BEGINNING, height=140, max_chars=1000, key="try_beginning", persist_state="session"
        )
        characters = st.slider("Characters", 50, MOST, 200, step=50, key="try_characters", persist_state="session")
        temperature = st.slider(
            "Temperature (T)", 0.0, 1.5, 0.7, step=0.1, key="try_temperature", persist_state="session",
            help="0: always the most probable character; 1: the model's own probabilities; higher: more surprising.",
        )  # fmt: skip
        seed = st.number_input("Seed", 0, 9999, 0, key="try_seed", persist_state="session")
    with right:
        if not beginning:
            st.info("Type a beginning to see how every variant goes on.")
            return
        with st.grid(COLUMNS, min_column_width=260):
            for one in models:
                with st.container(border=True):
                    _written(one, pictures, beginning, int(characters), float(temperature), int(seed))
        st.caption(
            ":material/info: A sample is an anecdote. Bits per character on the test text are on the page Compare."
        )


def _written(one: Chosen, pictures: Pictures, beginning: str, characters: int, temperature: float, seed: int) -> None:
    st.markdown(f"{roles.mark(one.role)} **{plain(one.name)}**")
    try:
        found = _sample(one.key, one.model, pictures.images.tokenizer, beginning, characters, temperature, seed)
    except ValueError as error:
        st.warning(f"Nothing was written: {plain(str(error))}.")
        return
    st.code(beginning + found.text, language=None, wrap_lines=True)
    bits = one.row["bits"]
    measured = f" · {format.bits(bits)} bits per character" if bits is not None else ""
    st.caption(f"{format.significant(found.pace)} characters/s on one thread{measured}")


@st.cache_data(max_entries=64, show_spinner="Writing")
def _sample(
    key: str, _model: object, _tokenizer: object, beginning: str, characters: int, temperature: float, seed: int
) -> Written:
    return written(_model, _tokenizer, beginning, characters, temperature=temperature, seed=seed)  # type: ignore[arg-type]
