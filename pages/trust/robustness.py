"""Robustness on the page Trust: accuracy on corrupted images, and what compression did to it, class by class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import fmean

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from kdcore import inputs
from kdcore.figures.robustness import class_changes, falls
from kdcore.inputs.kind import SEVERITIES, Items, Kind
from kdcore.jobs import api
from kdcore.measure.robustness import MOST_IMAGES
from kdcore.plan.estimate import START_SECONDS, corrupted_seconds
from kdcore.report import format, robustness
from kdcore.report.documents import write
from kdcore.report.robustness import Against, Robust
from kdcore.report.statistics import Paired
from kdcore.workspace import access
from kdcore.workspace.index import RunRow
from pages.shared import charts, links, measuring, people, store
from pages.shared.gallery import enlarged, numbered
from pages.shared.store import Pictures
from pages.shared.text import plain
from pages.trust import variant_table

TOGETHER = "together"
GAP = 0.08  # between the samples, as a share of their side


def section(run_id: str, names: list[str]) -> None:
    """The measurement of these variants, or the button that starts it; and what the corruptions look like."""
    kind = inputs.of(store.plan(run_id).dataset["shape"])
    st.caption(f"Accuracy on the test {kind.many} with {kind.corrupted_how}.")
    found = [one for one in robustness.measured(store.workspace(), run_id) if one.variant in names]
    rows = [row for row in store.rows([run_id]) if row["variant"] in names and row["size_bytes"]]
    missing = [row for row in rows if row["variant"] not in {one.variant for one in found}]
    waiting = measuring.latest("robustness", lambda runs: run_id in runs)
    if waiting and waiting.state in store.ACTIVE:
        measuring.progress(waiting, _draw)
    elif missing:
        _offer(run_id, missing, waiting, some=bool(found))
    if found:
        _measured(found)
    pictures = store.pictures(store.plan(run_id).dataset["fingerprint"])
    if pictures is not None:
        _samples(pictures)


def _offer(run_id: str, missing: list[dict], waiting: RunRow | None, *, some: bool) -> None:
    if waiting and waiting.state == "failed":
        st.error(plain(waiting.error or ""), title="Measurement failed")
    about = store.plan(run_id).dataset
    seconds = START_SECONDS + corrupted_seconds(
        [row["macs"] for row in missing], about["test"], inputs.of(about["shape"]).values(about["shape"])
    )
    listed = ", ".join(row["variant"] for row in missing)
    images = format.plural(min(about["test"], MOST_IMAGES), "test example")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"Not measured yet: {plain(listed)}."
            if some
            else "Not measured yet. It shows how accuracy falls with the severity of each corruption, and how pruning "
            "and quantization change that, class by class.",
            width="stretch",
        )
        st.button(
            "Measure robustness", key="measure_robustness", type="primary", icon=":material/grain:",
            on_click=measuring.queue, args=(api.robustness, [run_id]),
            **people.unless(
                access.to_launch(),
                help=f"Queues a measurement of {images}, clean and corrupted in 25 ways. Nothing is trained.",
            ),
        )  # fmt: skip
    st.caption(f":material/timer: About {format.roughly(seconds)} here, after queued jobs.")


def _draw(now: RunRow) -> None:
    left = f", {format.left(now.eta_seconds)}" if now.eta_seconds is not None else ""
    doing = "Queued" if now.state == "queued" else f"Measuring on corrupted inputs{left}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(now.progress, text=doing)
        if st.button("Open the run", key="open_robustness", icon=":material/list_alt:"):
            st.switch_page("runs/page.py", query_params={"run": now.id})


def _measured(found: list[Robust]) -> None:
    named = {TOGETHER: "All (mean)"} | {name: inputs.titles()[name] for name in found[0].scores}
    corruption = links.segments("Corruption", list(named), "corruption", format_func=named.__getitem__)
    pairs = {(one.variant, other.variant): (one, other) for one, other in robustness.compared(found)}
    changes = [change for one, other in pairs.values() if (change := robustness.against(one, other))]
    comparable = [pairs[change.variant, change.against] for change in changes]
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        charts.show(falls(found, None if corruption == TOGETHER else corruption), key="falls")
    with right, st.container(border=True, height="stretch"):
        if comparable:
            _classes(comparable)
        else:
            st.caption("Choose a variant and its parent, or the teacher, to compare by class.")
    _scores(found)
    if changes:
        _changes(changes)
    _downloads(found)
    about = found[0].protocol
    of = "" if about["images"] == about["of"] else f" of {about['of']:,}, the same for every variant"
    st.caption(
        f":material/info: On {format.plural(about['images'], 'test example')}{of}; strengths of {about['strengths']}. "
        "Corrupted: plain mean over all corruptions and severities, not the paper's mCE. "
        "Differences are paired on the same examples."
    )


def _classes(pairs: list[tuple[Robust, Robust]]) -> None:
    named = {f"{one.variant}/{other.variant}": (one, other) for one, other in pairs}
    steps = [name for name, (one, other) in named.items() if one.parent == other.variant]
    picked = links.one(
        "Change by class", list(named), "changed", default=(steps or list(named))[-1],
        format_func=lambda name: f"{named[name][0].variant}, against {named[name][1].variant}",
    )  # fmt: skip
    charts.show(class_changes(*named[picked]), key="robust_classes")
    fewest = min((row["n"] for row in named[picked][0].classes if row["n"]), default=0)
    if fewest:
        st.caption(
            f"The smallest class has {format.plural(fewest, 'example')}, so one example changes the column Clean by "
            f"{100 / fewest:.1f} points and the others by {100 / fewest / len(SEVERITIES):.1f}."
        )


def _scores(found: list[Robust]) -> None:
    columns = {
        "clean": [100 * one.clean for one in found],
        "corrupted": [100 * one.corrupted for one in found],
        "lost": [-100 * one.drop for one in found],
        **{name: [100 * fmean(one.scores[name]) for one in found] for name in found[0].scores},
    }
    number = st.column_config.NumberColumn
    measure = "mAP" if found[0].measure == "mAP" else "Test accuracy"
    config = {
        "clean": number("Clean (%)", format="%.1f", help=f"{measure} without corruption."),
        "corrupted": number("Corrupted (%)", format="%.1f", help="The mean over all corruptions and severities."),
        "lost": number("Change (points)", format="%+.1f", help="From clean to corrupted inputs."),
        **{
            name: number(f"{inputs.titles()[name]} (%)", format="%.1f", help="The mean over five severities.")
            for name in found[0].scores
        },
    }
    variant_table.show(
        [(one.role, one.variant) for one in found], columns, config, alt="Accuracy on clean and on corrupted inputs"
    )


def _changes(changes: list[Against]) -> None:
    table = pd.DataFrame(
        {
            "variant": [one.variant for one in changes],
            "against": [one.against for one in changes],
            "clean": [_points(one.clean) for one in changes],
            "corrupted": [_points(one.corrupted) for one in changes],
            "beyond": [_points(one.beyond) for one in changes],
        }
    )
    text = st.column_config.TextColumn
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        alt="What each step changed, with 95 % intervals",
        column_config={
            "variant": text("Variant", width="medium"),
            "against": text("Against", width="medium", help="Its parent, or the teacher."),
            "clean": text("Clean (points, 95 %)"),
            "corrupted": text("Corrupted (points, 95 %)"),
            "beyond": text(
                "Corrupted minus clean (points, 95 %)",
                help="Below zero: it lost more on corrupted inputs than on clean inputs.",
            ),
        },
    )


def _points(found: Paired) -> str:
    value = format.signed(100 * found.value)
    if found.low is None or found.high is None:
        return value
    return f"{value} ({format.signed(100 * found.low)} to {format.signed(100 * found.high)})"


def _downloads(found: list[Robust]) -> None:
    with st.container(horizontal=True):
        for label, rows in (("severity", robustness.table), ("class", robustness.class_table)):
            st.download_button(
                f"CSV by {label}", partial(_csv, rows, found), f"robustness-by-{label}.csv", "text/csv",
                key=f"robustness_{label}", icon=":material/download:", on_click="ignore",
            )  # fmt: skip


def _csv(rows: Callable[[list[Robust]], list[dict]], found: list[Robust]) -> bytes:
    return write(pd.DataFrame(rows(found)), "csv")


def _samples(pictures: Pictures) -> None:
    """One test image in all the ways in which it is corrupted; only drawn when somebody opens it."""
    box = st.expander("What the corruptions look like", icon=":material/image:", key="samples", on_change="rerun")
    if not box.open:
        return
    with box:
        kind = pictures.kind
        number = numbered(len(pictures.images), "sample_image", kind.one, persist_state="session", width=160)
        if number is None:
            return
        one = pictures.images[number : number + 1]
        st.caption(f"Labelled **{plain(pictures.name(number))}**. From left to right: clean, then severity 1 to 5.")
        with st.grid(2, min_column_width=420):
            for name, title in kind.corruptions.items():
                _sample(kind, one, name, alt=f"Test {kind.one} {number}: clean, then {title}, severity 1 to 5")


def _sample(kind: Kind, one: Items, name: str, alt: str) -> None:
    """`one`, a single item, in all strengths of one corruption."""
    made = [kind.shown(items, 0) for items in (one, *(kind.corrupted(one, name, severity) for severity in SEVERITIES))]
    shape = kind.shape(one)
    least, most = (kind.strength(shape, name, severity) for severity in (SEVERITIES[0], SEVERITIES[-1]))
    with st.container(gap="xxsmall"):
        if pictures := [shown.picture for shown in made if shown.picture is not None]:
            st.image(row_of(pictures), width="stretch", alt=alt)
        else:
            st.markdown(" · ".join(plain(shown.text) for shown in made))
        st.caption(f"**{kind.corruptions[name]}**: {least} at severity 1, {most} at 5")


def row_of(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images (H, W, C) side by side as one (H, W', 4), with clear gaps between them."""
    large = [_opaque(enlarged(image)) for image in images]
    height, width = large[0].shape[:2]
    gap = np.zeros((height, max(1, round(GAP * width)), 4), np.uint8)
    parts = [part for image in large for part in (gap, image)][1:]
    return np.concatenate(parts, axis=1)


def _opaque(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) with an alpha channel."""
    colours = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return np.dstack([colours[..., :3], np.full(image.shape[:2], 255, np.uint8)])
