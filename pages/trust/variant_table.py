"""A table with one row per variant, each beside the mark of its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import streamlit as st

from kdcore.report import format
from pages.shared import roles


def show(
    variants: Sequence[tuple[str, str]],
    columns: Mapping[str, Sequence[Any]],
    config: Mapping[str, Any],
    *,
    alt: str,
    width: Literal["stretch", "content"] = "stretch",
) -> None:
    """`variants`: role and name of each row. `columns`: values by row, None where not known. `config`: Streamlit's."""
    marks, names = [roles.symbol(role) for role, _ in variants], [name for _, name in variants]
    table = pd.DataFrame({"mark": marks, "variant": names, **columns})
    text = st.column_config.TextColumn
    st.dataframe(
        roles.dotted(table, [role for role, _ in variants]),
        hide_index=True,
        width=width,
        height="content",
        placeholder=format.MISSING,
        alt=f"{alt}, one row per variant",
        column_config={"mark": text("", width=24), "variant": text("Variant", width="medium"), **config},
    )
