"""System: this machine, the queue, disk and its clean-up, versions."""

from __future__ import annotations

import psutil
import streamlit as st

from kdcore import machine, plugins, registry
from kdcore.files import Damaged
from kdcore.jobs import api
from kdcore.report import format
from kdcore.report.processor import int8_words
from kdcore.workspace import access, gc, settings, shapes, slots
from kdcore.workspace.index import RunRow
from kdcore.workspace.workspace import Workspace
from pages.shared import people, store, text
from pages.system import launching, notices

MOST_WORKERS = 16
SLOTS = "slots"

here = store.workspace()


def devices() -> None:
    about = machine.describe()
    st.table(
        {
            "Processor": text.plain(about["cpu"]),
            "Cores": _cores(about["cores"], about["threads"]),
            "Instruction sets": ", ".join(about["flags"]).replace("_", "-") or "none known",
            "Graphics": ", ".join(map(text.plain, about["gpus"])) or "no CUDA GPU",
            "System": text.plain(about["os"]),
        },
        border="horizontal",
    )
    if words := int8_words(about["flags"]):
        st.caption(text.plain(words))


def _cores(cores: int, threads: int) -> str:
    return f"{cores}: {threads} for training, {cores - threads} for the dashboard" if cores > threads else str(cores)


@st.fragment(run_every=3, parallel=True)  # it looks at the processor for a while
def load() -> None:
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(here.ensure().root))
    busy = psutil.cpu_percent(interval=0.2)  # without, it would measure since the last call of this very thread
    for share, label in (
        (busy, f"Processor: {format.percent(busy / 100)} busy"),
        (memory.percent, f"Memory: {format.size(memory.available)} free of {format.size(memory.total)}"),
        (disk.percent, f"Disk: {format.size(disk.free)} free of {format.size(disk.total)}"),
    ):
        st.progress(min(share / 100, 1.0), text=label)


@st.fragment(run_every=2)
def queue() -> None:
    now = api.queue(here)
    known = {row.id: row for row in store.runs()}
    about = api.serving(here)
    process = f" Dispatcher: process {about['process']}, started {text.ago(about['started'])}." if about else ""
    st.caption(
        f":green[:material/check_circle:] The queue is running.{process}" if now.dispatcher
        else ":gray[:material/bedtime:] The queue is idle; it starts with the next run."
    )  # fmt: skip
    if not now.runs:
        st.caption("Runs that you start wait here for their turn.")
    workers(about)
    waiting = [run_id for run_id in now.runs if run_id in known and known[run_id].state == "queued"]
    for run_id in now.runs:
        if run_id in known:
            queue_line(known[run_id], waiting)


def workers(about: shapes.Serving | None) -> None:
    """How many runs share this machine, and which slot each of them has."""
    st.selectbox(
        "Workers at a time", range(MOST_WORKERS + 1), key=SLOTS, on_change=_set_slots,
        index=_slots(), format_func=_slots_in_words,
        **people.unless(
            access.to_manage(),
            help="How many runs work at once. With several GPUs each worker has its own. A free worker helps another "
            "run with its stages. More workers than cores slow each other down and disturb the timing.",
        ),
    )  # fmt: skip
    at_work = about.get("slots", []) if about else []
    if len(at_work) > 1:
        names = {row.id: text.plain(row.name) for row in store.runs()}
        at = [(slot["slot"] + 1, "helps " * slot["helps"] + names.get(slot["run"], slot["run"])) for slot in at_work]
        lines = [f"Slot {number}: {what}" for number, what in at]
        st.caption("  \n".join(lines))


def _slots() -> int:
    try:
        return settings.read(here).slots or 0
    except Damaged:
        return 0


def _slots_in_words(number: int) -> str:
    usual = "one per GPU" if slots.gpus() else "one"
    return f"Default: {usual}" if not number else str(number)


@people.reported
def _set_slots() -> None:
    settings.write(here, slots=st.session_state[SLOTS] or None)


def queue_line(row: RunRow, waiting: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        text.badge(row)
        st.markdown(people.of(row) + text.plain(row.name), width="stretch")
        if row.id in waiting:
            place = waiting.index(row.id)
            for name, icon, target, off in (
                ("Earlier", "arrow_upward", place - 1, place == 0),
                ("Later", "arrow_downward", place + 1, place == len(waiting) - 1),
            ):
                st.button(
                    name, key=f"{name}_{row.id}", icon=f":material/{icon}:", type="tertiary",
                    on_click=people.reported(api.reorder), args=(here, row.id, target),
                    **people.unless(access.to_manage(), disabled=off),
                )  # fmt: skip
        st.button(
            "Cancel", key=f"cancel_{row.id}", type="tertiary", on_click=store.ask, args=(row.id, "cancel"),
            **people.unless(access.to_change(row.owner)),
        )  # fmt: skip


@st.cache_data(ttl=20, max_entries=4, show_spinner=False)
def usage(root: str, identities: tuple[store.Identity | None, ...]) -> gc.Usage:
    """What is on the disk. Within a model sizes change rarely, so only what comes and goes is noticed at once."""
    return gc.usage(Workspace(root))


def disk() -> None:
    parts = (here.models, here.runs, here.trash, here.drafts)
    used = usage(str(here.root), tuple(store.identity(part) for part in parts))
    for run_id in used.unknown:
        st.warning(
            f"The plan of run {run_id} cannot be read, so the clean-up keeps all models: delete the run on the page "
            "Runs first."
        )
    st.table(
        {
            "Models": f"{format.size(used.models)} in {format.plural(used.model_count, 'model')}",
            "Unreferenced": f"{format.size(used.unused_models)} in {format.plural(used.unused_count, 'model')}",
            "Trash": format.size(used.trash),
            "Leftovers": f"{format.size(used.left)} of interrupted writes and old drafts",
            "Test examples": format.size(used.datasets),
            "Location": f"`{here.root}`",
        },
        border="horizontal",
    )
    idle = not (used.unused_count or used.trash or used.left)
    with st.popover(
        "Clean up", icon=":material/cleaning_services:", key="clean_up", on_change="rerun",
        **people.unless(access.to_manage(), disabled=idle),
    ):  # fmt: skip
        st.markdown(
            "Delete unreferenced models and leftovers of interrupted writes, and empty the trash. Deleted runs can "
            "then no longer be restored."
        )
        st.button("Delete them", key="collect", type="primary", on_click=collect)
    if idle:
        st.caption("There is nothing to clean up.")


@people.reported
def collect() -> None:
    st.session_state["clean_up"] = False  # the popover, which has done its work
    freed = gc.collect(here)
    usage.clear()
    deleted = f"{format.plural(freed.models, 'model')} and {format.plural(freed.trashed_runs, 'deleted run')}"
    st.toast(f"Deleted {deleted}: {format.size(freed.bytes)} freed.", icon=":material/cleaning_services:")


def own_code() -> None:
    """What a person's own files have registered, and which were left out."""
    for failure in registry.failures():
        st.error(text.plain(failure.reason), title=f"{text.plain(failure.plugin)} was not loaded")
    found = registry.plugged()
    if found:
        made = {name: ", ".join(f"{one.kind} {one.name}" for one in entries) for name, entries in found.items()}
        st.table({text.plain(name): text.plain(entries) for name, entries in made.items()}, border="horizontal")
    places = ", ".join(f"`{folder}`" for folder in plugins.folders())
    st.caption(
        f"Python files of your own in {places}. They are loaded when the dashboard starts, with your permissions."
    )


st.title("System", anchor=False)
left, right = st.columns(2, gap="medium")
with left, st.container(border=True, height="stretch"):
    st.subheader("This machine", anchor=False)
    devices()
    load()
with right, st.container(border=True, height="stretch"):
    st.subheader("Queue", anchor=False)
    queue()
    launching.section()
left, right = st.columns(2, gap="medium")
with left, st.container(border=True, height="stretch"):
    st.subheader("Models and disk", anchor=False)
    disk()
with right, st.container(border=True, height="stretch"):
    st.subheader("Versions", anchor=False)
    st.table({text.plain(name): version for name, version in machine.versions().items()}, border="horizontal")
with st.container(border=True):
    st.subheader("When a run ends", anchor=False)
    if refusal := access.to_manage():
        st.caption(refusal)
    else:
        notices.section()
with st.container(border=True):
    st.subheader("Plug-ins", anchor=False)
    own_code()
