"""Which recipe fields differ between the chosen runs, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from kdcore.report import differences
from pages.shared import store


def show(run_ids: list[str], names: Mapping[str, str]) -> None:
    """A row a field, a column a run."""
    found = differences.table(store.workspace(), run_ids).rename(columns=dict(names))
    if found.empty:
        st.caption("Recipes and results are the same.")
        return
    st.dataframe(
        found, hide_index=True, width="stretch", height="content" if len(found) < 20 else 500,
        column_config={"field": st.column_config.TextColumn("Field", width="medium", pinned=True)},
        alt="What differs between the runs, one row a field",
    )  # fmt: skip
