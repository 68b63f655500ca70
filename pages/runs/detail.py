"""One run: how far it is, its stages, its curves, its log, recipe and notes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from kdcore import inputs
from kdcore.data import upload
from kdcore.figures.curves import AXES, Quantity
from kdcore.figures.curves import curves as draw
from kdcore.jobs import api
from kdcore.jobs.mending import mendable
from kdcore.report import format
from kdcore.takeaway.page import report_page
from kdcore.takeaway.run import run_zip
from kdcore.takeaway.variant import variant_zip
from kdcore.workspace import access, shapes
from kdcore.workspace.index import RunRow, StageRow
from kdcore.workspace.state import JOBS, SETTLED
from pages.runs import actions, waiting
from pages.shared import charts, estimates, people, roles, store, text

LOG_LINES = 200
ICONS = {
    "pending": ":gray[:material/radio_button_unchecked:]",
    "waiting": ":gray[:material/hourglass_top:]",
    "running": ":blue[:material/play_circle:]",
    "done": ":green[:material/check_circle:]",
    "reused": ":green[:material/recycling:]",
    "failed": ":red[:material/error:]",
    "stopped": ":orange[:material/stop_circle:]",
}
QUANTITIES: dict[str, Quantity] = {
    "Validation accuracy": "val_accuracy",
    "Training accuracy": "accuracy",
    "Loss": "loss",
    "Validation loss": "val_loss",
}
FIRST: dict[str, dict[str, Quantity]] = {  # by what is predicted, where networks are judged by bits
    "character": {"Validation bits": "val_bits"},
    "token": {"Validation bits per token": "val_token_bits"},
}


def headline(row: RunRow) -> None:
    """State, times, and while it runs how much is left."""
    with st.container(horizontal=True, vertical_alignment="center"):
        text.badge(row)
        st.caption(when(row), width="content")
    if row.job:
        logs = store.workspace().runs / row.id / JOBS
        st.caption(f"{text.plain(row.job)}. Its logs: `{logs}`")
    elif row.state == "queued":
        waiting.line(row.id)
    if row.state in ("running", "waiting", "stopping"):
        left = f", {format.left(row.eta_seconds)}" if row.eta_seconds is not None else ""
        st.progress(row.progress, text=text.plain(f"{row.stage or 'Starting'}{left}"))
        busy = f"{estimates.busy().capitalize()}. " if estimates.busy() else ""
        st.caption(f"{busy}The run continues without this page: you can close the browser or stop the dashboard.")
    if row.note:
        st.caption(f":material/info: {text.plain(row.note)}.")
    if lacks := store.plan(row.id).lacks():
        st.warning(text.plain(lacks))
    if row.error:
        st.error(text.plain(row.error), title="What happened")
        st.caption(f"Finished stages are kept. {_next(row)}. See the log for details.")


def _next(row: RunRow) -> str:
    """What to press after a failure."""
    if actions.remedy(row):
        return (
            "The new run offered above reuses them; this one would fail again, unless another program had filled the "
            "memory: then press Duplicate"
        )
    return "Press Resume to continue from the last checkpoint, or Duplicate to change the recipe"


def when(row: RunRow) -> str:
    if row.started and row.finished:
        return f"{text.ago(row.finished)}, took {format.duration(row.finished - row.started)}"
    return f"started {text.ago(row.started)}" if row.started else f"submitted {text.ago(row.created)}"


class Group(NamedTuple):
    """The stages of one variant, one a seed."""

    variant: str
    role: str
    stages: list[StageRow]


def grouped(found: Iterable[StageRow]) -> list[Group]:
    groups: dict[str, Group] = {}
    for stage in found:
        groups.setdefault(stage.variant, Group(stage.variant, stage.role, [])).stages.append(stage)
    return list(groups.values())


def state_of(group: Group) -> str:
    """What to show for all seeds of a variant: the most important of their states."""
    states = [stage.state for stage in group.stages]
    for important in ("failed", "running", "waiting", "stopped"):
        if important in states:
            return important
    finished = [state in ("done", "reused") for state in states]
    if all(finished):
        return "reused" if set(states) == {"reused"} else "done"
    return "running" if any(finished) else "pending"


def stages(row: RunRow) -> None:
    """The checklist: a line for each variant with its time; a reused one says so."""
    groups = grouped(store.index().stages(row.id))
    if groups:
        lines = {
            f"{ICONS[state_of(group)]} {roles.mark(group.role)} {text.plain(group.variant)}": line(group)
            for group in groups
        }
        st.table(lines, border="horizontal", height=420 if len(lines) > 12 else "content")


def line(group: Group) -> str:
    """Times and counts: "3.1 s, 3 seeds", "reused", "2 of 3 seeds: validation"."""
    finished = [stage for stage in group.stages if stage.state in ("done", "reused")]
    trained = [stage for stage in finished if stage.state == "done"]
    running = next((stage for stage in group.stages if stage.state == "running"), None)
    seeds = format.plural(len(group.stages), "seed") if len(group.stages) > 1 else ""
    if len(finished) < len(group.stages):
        share = f"{len(finished)} of {seeds}" if seeds else ""
        phase = f"{running.phase or 'starting'}, {format.percent(running.progress)}" if running else ""
        return ": ".join(filter(None, [share, phase])) or "–"
    if not trained:
        return ", ".join(filter(None, ["reused", seeds]))
    again = f"{len(finished) - len(trained)} reused" if len(trained) < len(finished) else ""
    return ", ".join(filter(None, [format.duration(sum(stage.seconds for stage in trained)), seeds, again]))


def curves(row: RunRow, active: bool) -> None:
    """Learning curves with a Live switch, a range of steps and smoothing. Nothing polls when nothing runs."""
    dataset = store.plan(row.id).dataset
    kind = inputs.of(dataset["shape"])
    offered = FIRST.get(kind.one, {}) | QUANTITIES
    with st.container(horizontal=True, vertical_alignment="bottom"):
        quantity = st.segmented_control(
            "Curve", list(offered), default=next(iter(offered)), required=True, key=f"curve_{kind.name}",
            label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
        live = active and st.toggle("Live", value=True, key="live", help="Off: the chart stays still for zooming.")
        with st.popover("Adjust", icon=":material/tune:"):
            smoothing = st.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", persist_state="session")
            most = max((max(one["step"]) for one in store.index().curves(row.id, points=3)), default=1)
            first, last = st.slider("Steps", 0, most, (0, most), key=f"range_{row.id}") if most > 1 else (0, 1)
    whole = (first, last) == (0, most)
    hidden = dataset["hidden"]

    @st.fragment(run_every=2 if live else None)
    def chart() -> None:
        found = store.index().curves(row.id, None if whole else first, None if whole else last)
        if not found:
            st.caption(f"{AXES[offered[quantity]]}: the curve appears after the first epoch.")
            return
        charts.show(draw(found, offered[quantity], smoothing, hidden), key="curves")
        if hidden and quantity.startswith("Validation"):
            st.caption(
                ":material/info: The students' validation examples lack the hidden class "
                f"{text.plain(', '.join(hidden))}, so validation accuracy can be far above test accuracy."
            )

    chart()


def tabs(row: RunRow, active: bool) -> None:
    """Log, recipe, files, notes: only the open tab is read."""
    log, recipe, notes, files = st.tabs(["Log", "Recipe", "Notes and tags", "Files"], on_change="rerun", key="run_tabs")
    folder = store.workspace().runs / row.id
    if log.open:
        with log:
            _log(row, active)
    if recipe.open:
        with recipe, store.legible():
            st.json(store.document(folder / "recipe.json"), expanded=2)
    if notes.open:
        with notes, store.legible():
            _notes(row)
    if files.open:
        with files:
            with store.legible():
                _models(row)
            st.caption("The run's files on this machine")
            st.code(str(folder), language=None)
            _sizes(folder)


def _sizes(folder: Path) -> None:
    """The run's files; some may go while they are looked at."""
    found = {path.name: store.identity(path) for path in sorted(folder.glob("*")) if path.is_file()}
    sizes = {text.plain(name): format.size(about[1]) for name, about in found.items() if about}
    st.table(sizes, border="horizontal", width="content")


def damage(row: RunRow) -> None:
    """What is wrong with a damaged run, and what can be done; its files, to look at."""
    text.badge(row)
    st.error(text.plain(row.error or ""), title="A file of this run cannot be read")
    st.caption(
        "Press Resume: damaged files are rebuilt, and finished models are reused."
        if mendable(row.damaged or "")
        else "Press Delete: its models stay, and a new run of the same recipe reuses them."
    )
    folder = store.workspace().runs / row.id
    st.code(str(folder), language=None)
    _sizes(folder)


def _models(row: RunRow) -> None:
    """Downloads of its models."""
    here = store.workspace()
    made = {one.name: one.keys[0] for one in store.plan(row.id).variants if here.complete(one.keys[0])}
    if not made:
        return
    name = st.selectbox(
        "Model", list(made), len(made) - 1, key=f"model_{row.id}_{len(made)}", width=360,
        help="With several seeds, the first seed's model, which was measured.",
    )  # fmt: skip
    folder = here.model(made[name])
    with st.container(horizontal=True):
        for title, suffix in (("ONNX", ".onnx"), ("Weights", ".safetensors")):
            path = folder / f"model{suffix}"
            if path.is_file():
                given = upload.clean(f"{row.name} - {name}{suffix}".replace("/", "_"))
                st.download_button(
                    f"{title} ({format.size(path.stat().st_size)})", path.read_bytes, file_name=given,
                    key=f"take{suffix}_{row.id}", icon=":material/download:", on_click="ignore",
                )  # fmt: skip
        if (folder / "model.onnx").is_file():
            st.download_button(
                "Package (zip)", partial(variant_zip, here, row.id, name),
                file_name=upload.clean(f"{row.name} - {name}.zip".replace("/", "_")), key=f"take.zip_{row.id}",
                icon=":material/folder_zip:", on_click="ignore",
                help="ONNX, labels, a model card, the recipe and a short script that classifies a picture.",
            )  # fmt: skip
        st.download_button(
            "Report (HTML)", partial(report_page, here, [row.id]), mime="text/html", on_click="ignore",
            file_name=upload.clean(f"{row.name}.html".replace("/", "_")), key=f"take.html_{row.id}",
            icon=":material/article:", help="One page with figures, table, verdicts and recipe; it opens offline.",
        )  # fmt: skip
        if row.state in SETTLED:
            st.download_button(
                "Whole run (zip)", partial(run_zip, here, row.id), mime="application/zip", on_click="ignore",
                file_name=upload.clean(f"{row.name}.zip".replace("/", "_")), key=f"take.run_{row.id}",
                icon=":material/drive_file_move:", help="For *Import a run* in another installation: results, recipe, "
                "notes, all models and the test examples.",
            )  # fmt: skip
    st.caption("On this machine")
    st.code(str(folder), language=None)


def _log(row: RunRow, active: bool) -> None:
    @st.fragment(run_every=2 if active else None)
    def tail() -> None:
        path = store.workspace().runs / row.id / "log.txt"
        lines = path.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:] if path.is_file() else []
        with st.container(height=280 if len(lines) > 10 else "content", autoscroll=True):
            st.code("\n".join(lines) or "The log is empty.", language=None)

    tail()


def _notes(row: RunRow) -> None:
    here = store.workspace()
    meta = shapes.meta(here.run(row.id))
    notes, tags = meta.get("notes", ""), meta.get("tags", [])
    known = sorted({tag for other in store.index().runs() for tag in other.tags})  # synced by the page
    words_key, tags_key = f"notes_{row.id}", f"tags_{row.id}"

    @people.reported
    def save() -> None:
        api.annotate(here, row.id, notes=st.session_state[words_key], tags=st.session_state[tags_key])

    others = people.unless(access.to_change(row.owner))
    st.text_area("Notes", notes, key=words_key, max_chars=10_000, on_change=save, **others)
    st.multiselect(
        "Tags", sorted({*known, *tags}), tags, key=tags_key, accept_new_options=True, on_change=save, **others
    )
