"""Actions on a run: steer, duplicate, rename, delete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from kdcore.files import Damaged
from kdcore.jobs import api
from kdcore.jobs.mending import mendable
from kdcore.recipe import RecipeError, override, parse
from kdcore.workspace import access
from kdcore.workspace.index import RunRow
from kdcore.workspace.shapes import KINDS
from pages.shared import absent, draft, links, notify, people, store
from pages.shared.fields import label
from pages.shared.text import plain

TRUST, LAYERS = ":material/verified_user:", ":material/layers:"


def bar(row: RunRow) -> None:
    """The buttons that make sense in the run's state."""
    if row.damaged:
        _of_damaged(row)
        return
    with st.container(horizontal=True):
        _steer(row)
        if row.state in store.ACTIVE:
            notify.offer(row)
        _look(row)
        if row.preset not in KINDS and st.button("Duplicate", key="duplicate", icon=":material/content_copy:"):
            duplicate(row)
        # What is open, and what a second click would press, belongs to this run and this name alone.
        others = people.unless(access.to_change(row.owner))
        with st.popover("Rename", icon=":material/edit:", key=f"rename_{row.id}_{row.name}", **others):
            key = f"name_{row.id}"
            st.text_input("Name", row.name, key=key, max_chars=120, on_change=rename, args=(row.id, key))  # Enter saves
            st.button("Save", key="save_name", type="primary", on_click=rename, args=(row.id, key))
        _deletion(row)


def _of_damaged(row: RunRow) -> None:
    """What can be done about it is all that can be done with it."""
    with st.container(horizontal=True):
        if mendable(row.damaged or ""):
            st.button(
                "Resume", key="resume", icon=":material/replay:", on_click=store.ask, args=(row.id, "run"),
                **people.unless(access.to_change(row.owner)),
            )  # fmt: skip
        _deletion(row)


def _deletion(row: RunRow) -> None:
    others = people.unless(access.to_change(row.owner))
    with st.popover("Delete", icon=":material/delete:", key=f"deletion_{row.id}", **others):
        st.markdown(
            f"Delete **{plain(row.name)}**? Its models stay until the clean-up on the page System, and longer where "
            "other runs share them."
        )
        st.button("Delete this run", key=f"delete_{row.id}", type="primary", on_click=delete, args=(row.id, row.name))


def _steer(row: RunRow) -> None:
    """The buttons that end the run or let it go on."""
    refusal = access.to_change(row.owner)
    if row.state in ("queued", "waiting", "running"):
        st.button(
            "Cancel", key="cancel", icon=":material/cancel:", on_click=store.ask, args=(row.id, "cancel"),
            **people.unless(refusal),
        )  # fmt: skip
    if row.state in ("waiting", "running"):
        st.button(
            "Stop and keep", key="stop", icon=":material/stop_circle:", on_click=store.ask,
            args=(row.id, "stop"),
            **people.unless(refusal, help="Stops training now; finished stages are measured and kept."),
        )  # fmt: skip
    if change := remedy(row):
        changed(row, change)
    elif row.state in ("cancelled", "failed", "interrupted"):
        st.button(
            "Resume", key="resume", icon=":material/replay:", type="primary", on_click=store.ask,
            args=(row.id, "run"),
            **people.unless(refusal, help="Continues from the last checkpoint; finished stages are reused."),
        )  # fmt: skip


def _look(row: RunRow) -> None:
    """The buttons that lead to what the run has made."""
    if row.accuracy is not None and st.button("Compare", key="compare", icon=":material/compare_arrows:"):
        st.switch_page("compare/page.py", query_params={"runs": row.id})
    if row.accuracy is not None and st.button("Try it", key="try_it", icon=":material/draw:"):
        st.switch_page("try_it/page.py", query_params={"run": row.id})
    if row.state != "done":
        return
    if row.preset == "robustness" and st.button("Open in Trust", key="see", icon=TRUST):
        st.switch_page("trust/page.py", query_params={"run": _measured(row)[0], "part": "robustness"})
    if row.preset == "sensitivity" and st.button("Open in Layers", key="see", icon=LAYERS):
        asked = _measured(row)
        where = {"run": asked["run"], "variant": asked["variant"], "part": "sensitivity", "step": asked["kind"]}
        st.switch_page("layers/page.py", query_params=where)
    if row.preset == "layer_times" and st.button("Open in Layers", key="see", icon=LAYERS):
        first, *others = _measured(row)
        second = {f"{name}_b": one[name] for one in others for name in one}
        st.switch_page("layers/page.py", query_params={"part": "times"} | first | second)


def _measured(row: RunRow) -> Any:
    """What a run that measures earlier models was asked for."""
    return store.document(store.workspace().runs / row.id / "recipe.json")[row.preset]


def remedy(row: RunRow) -> dict[str, Any] | None:
    """The one change, a `path` and its `value`, with which a failed run would go on; resumed, it would fail again."""
    if row.state != "failed":
        return None
    with store.legible():
        return (store.document(store.workspace().runs / row.id / "result.json") or {}).get("remedy")


def changed(row: RunRow, change: Mapping[str, Any]) -> None:
    """The button that a failure itself has proposed: the same experiment, but for one value."""
    what = f"{label(change['path']).lower()} {change['value']}"
    if st.button(
        f"New run with {what}", key="remedy", type="primary", icon=":material/healing:",
        help="Opens the form with this one value changed: a new experiment with its own results.",
    ):  # fmt: skip
        duplicate(row, f"{change['path']}={json.dumps(change['value'])}")


def duplicate(row: RunRow, *changes: str) -> None:
    """Opens the form with this run's Recipe, with these changes."""
    try:
        document = api.recipe(store.workspace(), row.id).document()
        draft.load(parse(override(document, changes)), f"{row.name[:110]} (copy)")
    except (RecipeError, Damaged) as error:
        st.error(f"This run cannot be opened in the form: {plain(str(error))}")
        return
    st.switch_page("new/page.py")


def rename(run_id: str, key: str) -> None:
    try:
        api.rename(store.workspace(), run_id, st.session_state[key])
    except RecipeError as error:
        st.toast(f"Not renamed: {plain(str(error))}", icon=":material/error:")


def delete(run_id: str, name: str) -> None:
    try:
        api.delete(store.workspace(), run_id)
    except (RuntimeError, access.Refused) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    links.drop("run", "runs")
    st.session_state[absent.DELETED] = run_id, name
