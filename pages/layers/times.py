"""Where the time goes: both variants' layers in ONNX Runtime's profiler, measured at the press of a button."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from kdcore.figures.layer_times import Timed, profile, timed
from kdcore.files import Damaged
from kdcore.jobs import api
from kdcore.workspace import access, shapes
from kdcore.workspace.index import RunRow
from kdcore.workspace.shapes import LayerTimes
from pages.layers.layer_view import NONE, LayerView
from pages.shared import charts, measuring, people, store
from pages.shared.text import plain


def show(named: Mapping[str, LayerView]) -> None:
    """The section of these variants, by the names that the page gives them: their profiles, or the button for them."""
    named = {name: one for name, one in named.items() if one.report["layers"]}
    if not named:
        st.caption(NONE)
        return
    found = {name: profile for name, one in named.items() if (profile := _read(one))}
    asked = [{"run": one.run, "variant": one.name} for one in named.values()]
    waiting = measuring.latest("layer_times", asked.__eq__)
    if waiting and waiting.state in store.ACTIVE:
        measuring.progress(waiting, _draw)
    else:
        _offer(named, found, waiting)
    if found:
        _measured([_timed(name, named[name], times) for name, times in found.items()], found)


def _read(one: LayerView) -> LayerTimes | None:
    try:
        return shapes.layer_times(store.workspace().model(one.key))
    except Damaged as error:
        st.warning(f"{plain(str(error))}. Measure the layer times of {plain(one.name)} again.")
        return None


def _offer(named: Mapping[str, LayerView], found: Mapping[str, LayerTimes], waiting: RunRow | None) -> None:
    if waiting and waiting.state == "failed":
        st.error(plain(waiting.error or ""), title="Measurement failed")
    missing = [name for name in named if name not in found]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"Not measured yet: {plain(', '.join(missing))}. ONNX Runtime's profiler shows how many milliseconds each "
            "layer takes, beside its MACs, bytes and SQNR."
            if missing
            else "Each layer's time beside its MACs, bytes and SQNR.",
            width="stretch",
        )
        st.button(
            "Measure layer times" if missing else "Measure again", key="measure_times", icon=":material/timer:",
            type="primary" if missing else "secondary", on_click=measuring.queue,
            args=(api.layer_times, [(one.run, one.name) for one in named.values()]),
            **people.unless(
                access.to_launch(), help="Queues a profile of these files, in a process of its own. Nothing is trained."
            ),
        )  # fmt: skip


def _draw(now: RunRow) -> None:
    st.progress(now.progress, text="Queued" if now.state == "queued" else "Profiling the layers")


def _timed(name: str, one: LayerView, times: LayerTimes) -> Timed:
    kernels = ((kernel["layer"], kernel["ms"]) for kernel in times["kernels"])
    return timed(name, one.role, kernels, one.report["layers"])


def _measured(profiles: list[Timed], found: Mapping[str, LayerTimes]) -> None:
    batch = next(iter(found.values()))["batch"]
    with st.container(border=True):
        charts.show(profile(profiles), key="layer_times")
    st.caption(
        f":material/info: A profile on this machine, not a speed comparison: median of each kernel on one thread, "
        f"batch size {batch}, one file after the other. Compare times the variants side by side."
    )
