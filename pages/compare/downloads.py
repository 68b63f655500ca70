"""The comparison as downloads; each is made when its button is pressed."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from kdcore.report import columns
from kdcore.report.documents import FORMATS, ROUNDED, comparison_file
from kdcore.takeaway.page import report_page
from pages.shared import store


def row(run_ids: list[str], baseline: dict[str, Any]) -> None:
    """One button per format, and which columns go into those that are rounded."""
    with st.container(horizontal=True):
        chosen = _columns(run_ids)
        for name, about in FORMATS.items():
            st.download_button(
                about.label,
                partial(
                    comparison_file, store.workspace(), run_ids, name, baseline=baseline,
                    columns=chosen if name in ROUNDED else None,
                ),
                file_name=f"comparison{about.suffix}",
                mime=about.mime,
                key=f"download_{name}",
                icon=":material/download:",
                on_click="ignore",
                help="Rounded as on the page." if name in ROUNDED else "All columns in full precision.",
            )  # fmt: skip
        st.download_button(
            "Report", partial(report_page, store.workspace(), run_ids, baseline), file_name="report.html",
            mime="text/html", key="download_report", icon=":material/article:", on_click="ignore",
            help="One page with figures, table, verdicts and recipes; it opens without a network.",
        )  # fmt: skip


def _columns(run_ids: list[str]) -> list[str]:
    """By default those of the table on the page."""
    rows, reliability = store.rows(run_ids), bool(st.session_state.get("trust_columns"))
    usual = columns.usual(rows, reliability=reliability)
    with st.popover("Columns", icon=":material/view_column:"):
        return st.multiselect(
            "Columns of Markdown, LaTeX and HTML", list(columns.KNOWN), usual,
            key=f"download_columns_{'_'.join(run_ids)}_{reliability}",
            format_func=lambda name: columns.KNOWN[name].heading,
        ) or usual  # fmt: skip
