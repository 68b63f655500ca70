"""Texts that several pages need, and users' own names in Markdown."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import streamlit as st

from kdcore.report import format
from kdcore.report.names import printable, unlinked
from kdcore.workspace.index import RunRow

Colour = Literal["gray", "blue", "green", "orange", "red"]
STATES: dict[str, tuple[str, str, Colour]] = {
    "queued": ("Queued", ":material/schedule:", "gray"),
    "waiting": ("Waiting for another run", ":material/hourglass_top:", "gray"),
    "running": ("Running", ":material/play_circle:", "blue"),
    "stopping": ("Stopping", ":material/stop_circle:", "orange"),
    "done": ("Done", ":material/check_circle:", "green"),
    "failed": ("Failed", ":material/error:", "red"),
    "stopped": ("Stopped, results kept", ":material/stop_circle:", "gray"),
    "cancelled": ("Cancelled", ":material/cancel:", "gray"),
    "damaged": ("Damaged", ":material/broken_image:", "red"),
    "interrupted": ("Interrupted", ":material/bolt:", "orange"),
}


_INDENT = re.compile(r"^\s{2,}")  # would make code of a line
_BLOCK = re.compile(r"^(\s?\d{0,9})([-+=.)])")  # would begin a list, or underline what is before it


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line: names of runs and classes are other people's words."""
    text = re.sub(r"([\\`*_{}\[\]()<>#|~$:!&])", r"\\\1", unlinked(printable(text)))
    return _BLOCK.sub(r"\1\\\2", _INDENT.sub(" ", text))


def badge(row: RunRow, width: int | Literal["content"] = "content") -> None:
    """A run's state, and whether its worker does not respond."""
    name, icon, colour = STATES[row.condition]
    if row.silent_since:
        icon, colour = ":material/heart_broken:", "red"
    st.badge(format.state(name, row.silent_since), icon=icon, color=colour, width=width)


def ago(moment: float | None) -> str:
    """A time in the past as people say it."""
    if not moment:
        return ""
    seconds = max(0.0, time.time() - moment)
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def distinct_names(runs: Iterable[RunRow]) -> dict[str, str]:
    """Names by id; those of one name with when they were started, to the second."""
    rows = list(runs)
    often = Counter(row.name for row in rows)
    return {row.id: row.name if often[row.name] == 1 else dated(row) for row in rows}


def dated(row: RunRow) -> str:
    return f"{row.name} · {time.strftime('%d %b, %H:%M:%S', time.localtime(row.created))}"


def empty(title: str, what: str, button: str, page: str, icon: str) -> None:
    """An empty page: what it will show, and the button that gets there."""
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader(title, icon=icon, text_alignment="center")
        st.markdown(what, text_alignment="center")
        if st.button(button, type="primary", key=f"empty_{page}"):
            st.switch_page(page)
