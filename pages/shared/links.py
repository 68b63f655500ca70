"""Choices that live in the URL, by id: a link reopens the page as it was, also after a run was renamed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kdcore.workspace.index import RunRow
from pages.shared import absent, text

ADDRESS = "address"  # in the session: the page that was drawn last, and the choices in its URL

PRESENT = "present"  # in the URL: the chart that is shown large

SHOWN = "shown_run"  # in the session: the run that this page shows where its URL names none


def carry() -> None:
    """Keeps the choices of the page before when the menu, whose links name none, leads to another page.

    It is called before `st.navigation`: the browser then knows the choices when it shows the new page's address, and
    its Back has one step for both.
    """
    before, choices = st.session_state.get(ADDRESS, (_page(), {}))
    if _page() != before:
        st.session_state.pop(SHOWN, None)
        if choices and not st.query_params:
            st.query_params.from_dict(choices)
    remember()


def remember() -> None:
    """Notes what the URL shows, but for a chart that is shown large: it is this page's."""
    kept = {name: st.query_params.get_all(name) for name in st.query_params if name != PRESENT}
    st.session_state[ADDRESS] = _page(), kept


def _page() -> str:
    context = get_script_run_ctx()
    return context.page_script_hash if context else ""


def put(name: str, value: str | Sequence[str]) -> None:
    """Puts a choice into the URL. The run of a page and the runs of Compare agree: what no longer fits is dropped."""
    st.query_params[name] = value
    other = {"run": "runs", "runs": "run"}.get(name)
    chosen = {value} if isinstance(value, str) else {*value}
    if other and not chosen & {*st.query_params.get_all(other)}:
        st.query_params.pop(other, None)
    remember()


def present(key: str | None = None) -> None:
    """Shows one chart of the page large, or none."""
    if key is None:
        st.query_params.pop(PRESENT, None)
    else:
        st.query_params[PRESENT] = key


def presented() -> str | None:
    """The chart that is shown large."""
    return st.query_params.get(PRESENT)


def drop(*names: str) -> None:
    """Takes choices out of the URL."""
    for name in names:
        st.query_params.pop(name, None)
    remember()


def runs_asked() -> list[str]:
    """The runs that the URL names; one as `?run=`, or those that Compare shows as `?runs=`."""
    return st.query_params.get_all("run") or st.query_params.get_all("runs")


def newest(runs: Mapping[str, RunRow]) -> str:
    """The run that is shown where the URL names none: the newest when the page is opened, and afterwards the same."""
    shown = st.session_state.get(SHOWN)
    st.session_state[SHOWN] = shown if shown in runs else next(iter(runs))
    return str(st.session_state[SHOWN])


def run(label: str, runs: Mapping[str, RunRow], name: str = "run", *, default: str | None = None) -> str:
    """A selectbox of runs, the newest first.

    Without a choice in the URL or a default it is the `newest`: a run that finishes meanwhile does not take its place.
    """
    asked = runs_asked()[:1] if name == "run" else st.query_params.get_all(name)
    absent.report(asked, runs)
    first = next(iter(asked), None) or default or newest(runs)
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


def segments(
    label: str,
    options: Sequence[str],
    name: str,
    *,
    format_func: Callable[[str], str],
    default: str | None = None,
    **widget: Any,
) -> str:
    """A segmented control over a few options, the first being the default where none is named."""
    asked = st.query_params.get(name)
    st.session_state[name] = asked if asked in options else default or options[0]
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


def amount(label: str, name: str, **widget: Any) -> float | None:
    """A number input from 0 up whose value is `?name=` in the URL; None, shown empty, for everything else."""
    try:
        asked = float(st.query_params.get(name, ""))
    except ValueError:
        asked = math.nan
    st.session_state[name] = asked if 0 <= asked < math.inf else None
    return st.number_input(label, 0.0, value=None, key=name, on_change=_write_amount, args=(name,), **widget)


def temperature(options: Sequence[float], *, default: float) -> float:
    """The one of these that is `?T=` in the URL."""
    asked = st.query_params.get("T")
    return next((one for one in options if f"{one:g}" == asked), default)


def _write_one(name: str) -> None:
    if st.session_state[name] is not None:
        put(name, st.session_state[name])


def _write_amount(name: str) -> None:
    if st.session_state[name] is None:
        drop(name)
    else:
        put(name, f"{st.session_state[name]:.10g}")


def _write_many(name: str) -> None:
    put(name, st.session_state[name])
