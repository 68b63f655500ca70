"""The comparison as downloads; each is made when its button is pressed."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from kdcore.report.documents import FORMATS, comparison_file
from kdcore.takeaway.page import report_page
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
        st.download_button(
            "Report", partial(report_page, store.workspace(), run_ids, baseline), file_name="report.html",
            mime="text/html", key="download_report", icon=":material/article:", on_click="ignore",
            help="One page with figures, table, verdicts and recipes; it opens without a network.",
        )  # fmt: skip
