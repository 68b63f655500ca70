"""Colour and symbol of a role where there is no chart: in text and in tables."""

from __future__ import annotations

import pandas as pd
from pandas.io.formats.style import Styler

from kdcore.figures import style

# The symbols of the figures (figures/style.py) as characters.
SYMBOLS = {
    "teacher": "★",
    "alone": "○",
    "hard_labels": "⊗",
    "smoothed": "⊕",
    "distilled": "●",
    "pruned": "■",
    "quantized": "◆",
    "low_rank": "▲",
    "shared": "⬢",
}


def symbol(role: str) -> str:
    return SYMBOLS.get(role, "+")


def mark(role: str) -> str:
    """The symbol in its colour, as Markdown."""
    return f':color[{symbol(role)}]{{foreground="{style.look(role).colour}"}}'


def dotted(table: pd.DataFrame, roles: list[str], column: str = "mark") -> Styler:
    """The table with the symbols in `column` in the colours of these roles, one a row."""
    colours = [f"color: {style.look(role).colour}; font-weight: bold" for role in roles]
    # Without an id for each cell, which Streamlit would set one after the other.
    return Styler(table, cell_ids=False).apply(lambda _: colours, subset=[column], axis=0)
