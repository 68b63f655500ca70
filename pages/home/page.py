"""Home: what this is, experiments that start with one click, the latest runs."""

from __future__ import annotations

import streamlit as st

from kdcore import machine
from kdcore.data.dataset import NotFetched
from kdcore.jobs import api
from kdcore.presets import Group, Preset, presets
from kdcore.problems import RecipeError
from kdcore.report import format
from kdcore.report.headline import headline
from kdcore.workspace import access
from kdcore.workspace.access import Refused
from kdcore.workspace.index import RunRow
from pages.shared import draft, estimates, links, people, store, text

LATEST = 5
CONSIDERED = "home_considered"  # in the session: the preset whose dialog is open


GROUPS: dict[Group, str] = {
    "start": "Start with one click",
    "lessons": "Go further",
    "papers": "From the papers",
}


def start(preset: Preset) -> None:
    """Queues the preset and goes to where it can be watched; says why where it cannot be queued."""
    try:
        run_id = api.submit(store.workspace(), preset.recipe, preset.name)
    except Refused as error:
        st.toast(text.plain(str(error)), icon=":material/error:")
        return
    store.dispatch()
    st.switch_page("runs/page.py", query_params={"run": run_id})


def in_form(preset: Preset) -> None:
    """Opens the form with the preset, where its data can be fetched and everything be changed."""
    draft.load(preset.recipe, preset.title)
    st.switch_page("new/page.py")


def forget() -> None:
    st.session_state.pop(CONSIDERED, None)


@st.dialog("Before you start", icon=":material/hourglass_top:", on_dismiss=forget)
def consider(preset: Preset, absent: str) -> None:
    """What to know of a preset that not every machine runs in minutes."""
    if preset.wants and not machine.gpus():
        st.markdown(f"**{preset.title}** needs {preset.wants}. No GPU was found on this machine.")
    for sentence in preset.asks:
        st.markdown(f"- {text.plain(sentence)}")
    if absent and not preset.asks:
        st.markdown(f"Its data set is missing ({text.plain(absent)}): get it in the form, under Data.")
    with st.container(horizontal=True):
        edit = st.button("Open in the form", key="consider_form", type="primary", icon=":material/edit:")
        go = not absent and st.button("Start anyway", key="consider_start", icon=":material/play_arrow:")
    if edit or go:
        forget()
        (in_form if edit else start)(preset)


def machine_card(rows: list[RunRow]) -> None:
    about = machine.describe()
    with st.container(border=True):
        st.markdown("**This machine**")
        st.caption(text.plain(about["summary"]))
        busy = [row for row in rows if row.state in store.ACTIVE]
        at_work = sum(row.state in ("running", "stopping") for row in busy)
        st.caption(
            f"Trains on {'the GPU' if about['gpus'] else format.plural(about['threads'], 'thread')}. "
            + (f"{at_work} running, {len(busy) - at_work} queued." if busy else "The queue is empty.")
        )


def preset_card(preset: Preset, last: RunRow | None, *, first: bool) -> None:
    took, absent = lasts(preset) if timed or preset.asks else ("Estimating the time", "")
    before = f"last result: {text.plain(headline(last))}" if last else "not run yet"
    with st.container(border=True, height="stretch", gap="small"):
        st.subheader(preset.title, icon=preset.icon, anchor=False)
        st.markdown(preset.summary)
        st.expander("What to look for", type="compact", icon=":material/visibility:").caption(preset.look_for)
        st.space("stretch")
        if preset.wants:
            st.caption(f":material/memory: Needs {preset.wants}")
        st.caption(f":material/timer: {absent or took}; {before}")
        pressed = st.button(
            "Start",
            key=f"start_{preset.name}",
            icon=":material/play_arrow:",
            type="primary" if first else "secondary",
            width="stretch",
            **people.unless(access.to_launch()),
        )
    if pressed:
        st.session_state[CONSIDERED] = preset.name
    if st.session_state.get(CONSIDERED) == preset.name:
        absent = lasts(preset)[1]
        if pressed and not absent and not (preset.wants and not machine.gpus()):
            forget()
            start(preset)
        consider(preset, absent)


def lasts(preset: Preset) -> tuple[str, str]:
    """The time that the preset will take here, in words; what of its data is not here yet."""
    if preset.asks:
        return "", "Asks for your data first"
    try:
        seconds = estimates.of(preset.recipe).seconds
    except NotFetched as error:
        needs = format.size(error.download_bytes) + " to download" if error.download_bytes else "must be prepared first"
        return "", f"{error.title}, {needs}"
    except RecipeError as error:
        return "", error.problems[0].message
    return f"About {format.roughly(seconds)} here" if seconds else "No time estimate yet", ""


def run_line(row: RunRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        text.badge(row, width=120)
        st.markdown(f"**{text.plain(row.name)}**", width=260)
        if row.state in store.ACTIVE:
            st.progress(row.progress, text=text.plain(row.stage) or "Queued", width=380)
        elif row.score is not None:
            st.caption(text.plain(headline(row)), width=380)
        else:
            st.caption(text.plain(row.error or ("Measured" if row.state == "done" else "No result")), width=380)
        st.caption(text.ago(row.created), width=120)
        if st.button("Open", key=f"open_{row.id}", type="tertiary", icon=":material/arrow_forward:"):
            st.switch_page("runs/page.py", query_params={"run": row.id})


rows = store.runs()
store.serve(rows)

words_column, machine_column = st.columns([2.4, 1], gap="large", vertical_alignment="center")
with words_column:
    st.title("Make a neural network small", anchor=False)
    st.markdown(
        "A large network, the teacher, trains a small one, the student, which is then pruned and quantized. Every "
        "number is measured on the file that you would deploy, with its uncertainty."
    )
with machine_column:
    machine_card(rows)

timed = estimates.at_hand(preset.recipe for preset in presets())
with st.container(horizontal=True, vertical_alignment="center"):
    st.header("Experiments", anchor=False, width="content")
    group = links.segments(
        "Experiments", list(GROUPS), "group", format_func=lambda name: GROUPS[name],  # type: ignore[index]
        label_visibility="collapsed", wrap=True,
    )  # fmt: skip
members = [preset for preset in presets() if preset.group == group]
with st.grid(4 if len(members) % 3 == 1 else 3, min_column_width=250):  # no card is left alone in a row
    for place, preset in enumerate(members):
        finished = next((row for row in rows if row.preset == preset.name and row.state == "done"), None)
        preset_card(preset, finished, first=group == "start" and place == 0)


busy = any(row.state in store.ACTIVE for row in rows)


@st.fragment(run_every=2 if busy else None)
def latest() -> None:
    now = store.runs() if busy else rows
    if not now:
        st.caption("No runs yet. Start one above, or on the page New experiment.")
    for row in now[:LATEST]:
        run_line(row)


@st.fragment(run_every=1)
def until_timed() -> None:
    """Draws the cards again once their times are known, so that the page need not wait for them."""
    if estimates.at_hand(preset.recipe for preset in presets()):
        st.rerun()


st.header("Latest runs", anchor=False)
latest()
if not timed:
    until_timed()
