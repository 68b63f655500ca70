"""The comparison as downloads; each is made when its button is pressed."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from kdcore.report.documents import FORMATS, comparison_file
from pages.shared import store


def row(run_ids: list[str], baseline: dict[str, Any]) -> None:
    """One button per format."""
    with st.container(horizontal=True):
        for name, about in FORMATS.items():
            st.download_button(
                about.label,
                partial(comparison_file, store.workspace(), run_ids, name, baseline=baseline),
                file_name=f"comparison{about.suffix}",
                mime=about.mime,
                key=f"download_{name}",
                icon=":material/download:",
                on_click="ignore",
            )
