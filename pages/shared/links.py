"""Choices that live in the URL, by id: a link reopens the page as it was, also after a run was renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from kdcore.workspace.index import RunRow
from pages.shared import absent, text


def run(label: str, runs: Mapping[str, RunRow], name: str = "run", *, default: str | None = None) -> str:
    """A selectbox of runs, the newest first.

    Without a choice in the URL or a default it is the newest when the page is opened, and the same one afterwards: a
    run that finishes meanwhile does not take its place.
    """
    absent.report(st.query_params.get_all(name), runs)
    shown: str | None = st.session_state.get(name)
    first = default or (shown if shown and shown in runs else next(iter(runs)))
    return one(label, list(runs), name, default=first, format_func=text.distinct_names(runs.values()).__getitem__)


def one(label: str, options: Sequence[str], name: str, *, default: str, **widget: Any) -> str:
    """A selectbox whose choice is `?name=` in the URL. Unknown values there fall back to the default."""
    asked = st.query_params.get(name)
    st.session_state[name] = asked if asked in options else default
    return st.selectbox(label, options, key=name, on_change=_write_one, args=(name,), **widget)


def many(label: str, options: Sequence[str], name: str, *, default: Sequence[str], **widget: Any) -> list[str]:
    """A multiselect whose choices are `?name=a&name=b` in the URL."""
    asked = st.query_params.get_all(name)
    known = [option for option in dict.fromkeys(asked) if option in options]
    st.session_state[name] = known or list(default)
    return st.multiselect(label, options, key=name, on_change=_write_many, args=(name,), **widget)


def segments(label: str, options: Sequence[str], name: str, *, format_func: Callable[[str], str], **widget: Any) -> str:
    """A segmented control over a few options, the first being the default."""
    asked = st.query_params.get(name)
    st.session_state[name] = asked if asked in options else options[0]
    chosen = st.segmented_control(
        label, options, key=name, on_change=_write_one, args=(name,), format_func=format_func, required=True, **widget
    )
    return chosen or options[0]


def number(name: str, below: int, *, default: int) -> int:
    """The whole number that is `?name=` in the URL, from 0 and less than `below`; the default for everything else."""
    asked = st.query_params.get(name, "")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= len(str(below))):
        return default
    return int(asked) if int(asked) < below else default


def _write_one(name: str) -> None:
    if st.session_state[name] is not None:
        st.query_params[name] = st.session_state[name]


def _write_many(name: str) -> None:
    st.query_params[name] = st.session_state[name]
