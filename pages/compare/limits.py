"""Limits on size, latency and lost accuracy: the controls, in the URL, and the best variant within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from kdcore.report.limits import Limits, lost, sentence
from pages.shared import links
from pages.shared.text import plain

Row = Mapping[str, Any]
KEYS = ("max_kb", "max_ms", "max_points")


def ask(batch: int, baseline: Row, *, timed: bool) -> Limits:
    """A popover with a control for each limit; empty is no limit."""
    count = sum(key in st.query_params for key in KEYS)
    with st.popover(f"Limits ({count})" if count else "Limits", icon=":material/filter_alt:"):
        kilobytes = _number("Maximum size (kB)", KEYS[0], 10.0)
        milliseconds = _number(f"Maximum latency per example, batch {batch} (ms)", KEYS[1], 0.01, disabled=not timed)
        points = _number(f"Maximum loss of quality: {lost(baseline)}", KEYS[2], _step(baseline))
        st.button(
            "No limits", key="no_limits", icon=":material/filter_alt_off:", disabled=not count,
            on_click=links.drop, args=KEYS,
        )  # fmt: skip
    size = None if kilobytes is None else 1000 * kilobytes
    return Limits(size, milliseconds if timed else None, points, batch)


def best(rows: Sequence[Row], limits: Limits, baseline: Row, names: Mapping[str, str] | None) -> None:
    """Which variant is the best within the limits."""
    if limits.any:
        st.markdown(f":material/filter_alt: {plain(sentence(rows, limits, baseline, names))}")


def _step(baseline: Row) -> float:
    """Half a point, or a hundredth of a bit."""
    return 0.5 if baseline["quality"] is None or baseline["quality"].scale.sign > 0 else 0.01


def _number(label: str, key: str, step: float, *, disabled: bool = False) -> float | None:
    return links.amount(label, key, step=step, format="%.4g", placeholder="no limit", disabled=disabled)
