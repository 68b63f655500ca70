"""The charts of accuracy and cost in several views, and notes on how it was timed."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from kdcore.export import openvino_runtime
from kdcore.figures import cloud, measures, settings
from kdcore.figures.frontier import against_latency, against_size
from kdcore.figures.points import Baseline, Terms
from kdcore.jobs import api
from kdcore.report.comparison import BATCH
from kdcore.report.limits import fits
from kdcore.report.processor import computes_int8, int8_words
from kdcore.report.sessions import NOISY, gpu_note, openvino_note, turned
from kdcore.workspace import access
from kdcore.workspace.index import RunRow
from pages.compare import limits, own, table
from pages.shared import charts, links, measuring, people, store
from pages.shared.text import plain

Row = dict[str, Any]
VIEWS = {
    "cost": "Size and latency",
    "bubbles": "Bubbles",
    "space": "3-D",
    "measures": "Any two measures",
    "settings": "Swept settings",
    "methods": "Methods",
    "sweep": "Sweep",
    "recall": "Recall",
    "waterfall": "Step by step",
}
TIMED = {"bubbles", "space"}  # views of both costs


def show(rows: list[Row], names: dict[str, str], baseline: Baseline, others: own.Figures) -> None:
    """The chosen view, with limits; `others` are views of a single run. Clicking a point selects its row."""
    together = _together(rows)
    swept = settings.swept(rows) if len(names) == 1 else []
    possible = _possible(bool(together), len(swept) > 1, others)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = links.segments(
            "Chart", possible, "view", format_func=VIEWS.__getitem__, wrap=True, label_visibility="collapsed"
        )
        batch = BATCH
        if together:
            batch = int(
                links.segments(
                    "Batch size", ["1", str(BATCH)], "batch", default=str(BATCH),
                    format_func=lambda size: f"Batch size {size}", label_visibility="collapsed",
                )
            )  # fmt: skip
        within = limits.ask(batch, baseline.row, timed=bool(together))
    several = names if len(names) > 1 else None
    limits.best(rows, within, baseline.row, several)
    terms = Terms(several, baseline, within)
    if view == "cost":
        _cost(rows, together, terms)
    elif view == "settings":
        _settings(swept)
    elif figures := own.of_kind(others, view):
        own.draw(figures)
    else:
        with st.container(border=True):
            _one(view, rows, together, terms)
    table.picked(rows)


def _possible(timed: bool, swept: bool, others: own.Figures) -> list[str]:
    """The views that have something to show."""
    absent = set() if timed else TIMED.copy()
    absent |= set() if swept else {"settings"}
    absent |= {kind for kind in own.KINDS if not own.of_kind(others, kind)}
    return [view for view in VIEWS if view not in absent]


def _together(rows: list[Row]) -> list[Row]:
    """The rows that one session timed; none where it timed fewer than two, or where there are several sessions."""
    timed = [row for row in rows if row["session"]]
    return timed if len(timed) > 1 and len({row["session"] for row in timed}) == 1 else []


def _cost(rows: list[Row], together: list[Row], terms: Terms) -> None:
    """Accuracy against size, and against latency where one session timed the rows."""
    left, right = st.columns(2, gap="medium") if together else (st.container(), None)
    with left, st.container(border=True, height="stretch"):
        _selecting(against_size(rows, terms), rows, "size_chart")
    if right:
        with right, st.container(border=True, height="stretch"):
            figure = against_latency(together, terms.limits.batch, terms)
            _selecting(figure, rows, "time_chart", note=_busy(together))
    elif any(row["session"] for row in rows):
        st.caption("There is no chart of latency: these variants were not timed in one session.")
    else:
        st.caption("There is no chart of latency: these variants were not timed.")


def _one(view: str, rows: list[Row], together: list[Row], terms: Terms) -> None:
    """A view that is one chart."""
    if view == "bubbles":
        figure = cloud.bubbles(together, terms.limits.batch, terms)
        _selecting(figure, rows, "bubble_chart", note=_busy(together))
    elif view == "space":
        charts.show(cloud.space(together, terms.limits.batch, terms), key="space_chart", note=_busy(together))
    else:
        known = measures.present(rows)
        labels = {name: measures.MEASURES[name].label for name in known}
        with st.container(horizontal=True):
            x = links.one("Horizontal axis", known, "x", default="size_bytes" if "size_bytes" in known else known[0],
                          format_func=labels.__getitem__)  # fmt: skip
            y = links.one("Vertical axis", known, "y", default=known[0], format_func=labels.__getitem__)
        baseline = terms.baseline.row if terms.baseline else rows[0]
        outside = [row for row in rows if not fits(row, terms.limits, baseline)]
        _selecting(measures.against(rows, x, y, outside, terms.runs), rows, "pair_chart")


def _settings(swept: list[Row]) -> None:
    with st.container(border=True):
        charts.show(settings.parallel(swept), key="parallel_chart")
        st.caption("Each line is a point of the sweep, from blue (worst) to red (best); the best is thick.")
    found = settings.importances(swept)
    if isinstance(found, str):
        st.caption(f":material/info: {plain(found)}")
        return
    with st.container(border=True):
        charts.show(settings.importance(found), key="importance_chart")
        st.caption("The variance between all combinations, split into what each setting changes by itself.")


def _selecting(figure: Any, rows: list[Row], key: str, note: str = "") -> None:
    charts.show(figure, key=key, note=note, pick=lambda point: table.select(rows, point))


def _busy(timed: list[Row]) -> str:
    busy = any(row["busy"] for row in timed)
    return f":material/timer: {NOISY.capitalize()}, so small differences are uncertain." if busy else ""


def session_note(rows: list[Row], run_ids: list[str]) -> None:
    """Where and how the times were taken, and the buttons that measure the runs together, again, or elsewhere too."""
    sessions = list({row["session"] for row in rows if row["session"]})
    notes = list(dict.fromkeys(part for row in rows for part in row["latency_note"].split("; ") if part))
    if warnings := [f"{note[:1].upper()}{note[1:]}." for note in notes if note != NOISY]:
        st.warning(plain(" ".join(warnings)), icon=":material/timer:")
    session = store.document(store.workspace().sessions / f"{sessions[0]}.json") if len(sessions) == 1 else None
    if session:
        _about(session, rows)
    waiting = measuring.latest("bench", lambda runs: set(runs) == set(run_ids))
    if waiting and waiting.state in store.ACTIVE:
        measuring.progress(waiting, _draw)
        return
    if waiting and waiting.state == "failed" and (notes or not session):
        st.error(plain(waiting.error or ""), title="Timing failed")
    with st.container(horizontal=True):
        if notes or not session or any(row["session"] is None and row["size_bytes"] for row in rows):
            together = "Measure together" if len(run_ids) > 1 else "Measure again"
            _bench(together, "bench", run_ids, openvino=bool(session and session.get("openvino")))
        if session and "openvino" not in session and openvino_runtime.installed():
            _bench("Time in OpenVINO too", "bench_openvino", run_ids, openvino=True)


def _about(session: dict[str, Any], rows: list[Row]) -> None:
    variants = {row["model_key"]: row["variant"] for row in rows}
    lines = [
        f":material/timer: One timing session on {plain(session['machine']['summary'])}, one thread, "
        f"all variants interleaved{', on a busy machine' * session['noisy']}. "
        f"Speed-ups are relative within this session; noise is estimated from a "
        f"duplicate ({plain(variants.get(session['reference'], 'reference'))})."
    ]
    quantized = any(computes_int8(row["stage"], row["note"]) for row in rows)
    for icon, said in (
        ("swap_vert", turned(session, variants)),
        ("memory", int8_words(session["machine"]["flags"]) if quantized else ""),
        ("timer", gpu_note(session, variants)),
        ("timer", openvino_note(session, variants)),
    ):
        if said:
            lines.append(f":material/{icon}: {plain(said)}")
    st.caption("\n\n".join(lines))


def _bench(label: str, key: str, run_ids: list[str], *, openvino: bool) -> None:
    in_both = " and in OpenVINO" * openvino
    st.button(
        label,
        icon=":material/timer:",
        key=key,
        on_click=measuring.queue,
        args=(partial(api.bench, openvino=openvino), run_ids),
        **people.unless(
            access.to_launch(),
            help=f"Queues one timing session over all variants of these runs{in_both}; takes about half a minute.",
        ),
    )


def _draw(now: RunRow) -> None:
    st.progress(now.progress, text="Queued" if now.state == "queued" else "Timing all variants in one session")
