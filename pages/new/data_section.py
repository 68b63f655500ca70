"""The section Data of the form: which set, whether it is on this machine, and getting it there."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st
from pydantic import ValidationError

from kdcore import registry
from kdcore.data import fetch
from kdcore.data.types import Progress
from kdcore.problems import RecipeError
from kdcore.recipe import Data
from kdcore.registry import Options
from kdcore.report import format
from kdcore.workspace import access
from pages.new import fetching, uploads
from pages.new.form import Form
from pages.shared import draft, people
from pages.shared.text import plain

SOURCE = "data.source"
OWN = {  # what to upload for a set of one's own, and as which files
    "folder": ("Upload a .zip with one folder of pictures per class", ["zip"]),
    "labels_csv": ("Upload a .zip with pictures and labels.csv", ["zip"]),
    "text_csv": ("Upload a .csv or .tsv with the columns text and label", ["csv", "tsv"]),
}


def draw(form: Form) -> None:
    """Choice, where it stands, and who sees how much of it."""
    form.choice("dataset", SOURCE, _line)
    chosen = draft.at(draft.get(), SOURCE)
    if chosen["dataset"] in OWN:
        uploads.offer(*OWN[chosen["dataset"]], f"{SOURCE}.path")
    with suppress(ValidationError, RecipeError):  # the problem stands at its field
        _standing(registry.validate("dataset", chosen))
    form.part(Data, "data", ["labels", "hide_classes"])


def _line(name: str) -> str:
    """A data set in the list: whether it is here, and what it is."""
    about = registry.entry("dataset", name).description
    if name in OWN:
        return about
    found = fetch.here(name)
    here = "here" if found["prepared"] else found["here"]
    return f"{name.replace('_', ' ')} ({here}) · {about}"


def _standing(source: Options) -> None:
    """Where the data set stands; while it is being fetched, this alone is drawn every second."""
    first = fetching.status(source).state

    @st.fragment(run_every=1.0 if first == "fetching" else None)
    def standing() -> None:
        now = fetching.status(source)
        if now.state != first:
            st.rerun()
        if now.state == "ready":
            st.caption(f":green[:material/check_circle:] {plain(now.title)} is on this machine.")
            if now.message:
                st.caption(f":material/info: {plain(now.message)}")
        elif now.state == "fetching":
            _under_way(source, now.progress)
        else:
            _absent(source, now)

    standing()


def _under_way(source: Options, progress: Progress | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if progress is None or not progress.total:
            st.progress(0.0, text="Starting" if progress is None else plain(progress.doing.capitalize()))
        else:
            st.progress(min(1.0, progress.done / progress.total), text=plain(_progress_text(progress)))
        st.button(
            "Cancel", key=draft.key("fetch_cancel"), icon=":material/cancel:",
            on_click=people.reported(fetching.cancel), args=(source,), **people.unless(access.to_launch()),
        )  # fmt: skip
    st.caption("The download continues without this page; what has arrived is kept when you cancel.")


def _progress_text(progress: Progress) -> str:
    show = format.size if progress.unit == "bytes" else format.count
    unit = "" if progress.unit == "bytes" else f" {progress.unit}"
    return f"{progress.doing.capitalize()}: {show(progress.done)} of {show(progress.total)}{unit}"


def _absent(source: Options, now: fetch.Status) -> None:
    if now.state == "failed":
        failed = "could not be downloaded" if now.download_bytes else "cannot be used"
        st.error(plain(now.message), title=f"{plain(now.title)} {failed}")
    name = "Prepare" if not now.download_bytes else f"Download ({format.size(now.download_bytes)})"
    st.button(
        f"Retry: {name[0].lower()}{name[1:]}" if now.state == "failed" else name,
        key=draft.key("fetch"), type="primary", icon=":material/download:",
        on_click=people.reported(fetching.start), args=(source,),
        **people.unless(access.to_launch()),
    )  # fmt: skip
