"""Layer sensitivity: each layer compressed alone, at the press of a button, and the mixed policy that follows."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from kdcore.compress.step import CompressError
from kdcore.compress.tools.sensitivity import BUDGETED, STRENGTHS, policy, step
from kdcore.figures.sensitivity import sensitivity, strength_of
from kdcore.jobs import api
from kdcore.recipe import RecipeError, override, parse
from kdcore.report import format
from kdcore.workspace import access
from kdcore.workspace.index import RunRow
from kdcore.workspace.library import gives
from pages.layers.layer_view import LayerView
from pages.shared import charts, draft, links, measuring, people, store
from pages.shared.text import plain

KINDS = {"prune": "Prune weights", "filters": "Remove filters", "rank": "Low rank", "quantize": "Quantize"}


def show(one: LayerView) -> None:
    """The section of one variant: its measurement, or the button that starts it."""
    st.markdown(
        f"Each layer of **{plain(one.name)}** is compressed alone and the network evaluated on validation examples. "
        "Less sensitive layers can be compressed more; a policy gives each layer its own strength."
    )
    if gives(store.workspace().model(one.key), one.report) != "features":
        st.caption(f":material/info: {plain(one.name)} has no network that can be compressed: use its parent.")
        if one.parent:
            st.button(f"Use {plain(one.parent)}", key="take_parent", on_click=_take, args=(one.parent,))
        return
    kind = links.segments("Compression applied", list(KINDS), "step", format_func=KINDS.__getitem__)
    with store.legible():
        found = store.document(store.workspace().model(one.key) / f"sensitivity-{kind}.json")
    asked = {"run": one.run, "variant": one.name, "kind": kind}
    waiting = measuring.latest("sensitivity", asked.__eq__)
    if waiting and waiting.state in store.ACTIVE:
        measuring.progress(waiting, _draw)
    elif not found or found["asked"]["strengths"] != list(STRENGTHS[kind]):
        if waiting and waiting.state == "failed":
            st.error(plain(waiting.error or ""), title="Measurement failed")
        st.button(
            "Measure sensitivity", key="measure_sensitivity", type="primary", icon=":material/query_stats:",
            on_click=measuring.queue, args=(api.sensitivity, one.run, one.name, kind),
            **people.unless(
                access.to_launch(),
                help="Queues a measurement: each layer alone, at several strengths, without training. Takes seconds "
                "for a small network, minutes for a large one.",
            ),
        )  # fmt: skip
    if found:
        _measured(one, found)


def _take(variant: str) -> None:
    st.query_params["variant"] = variant


def _draw(now: RunRow) -> None:
    st.progress(now.progress, text="Queued" if now.state == "queued" else "Compressing one layer after another")


def _measured(one: LayerView, found: dict[str, Any]) -> None:
    left, right = st.columns([1.6, 1], gap="medium")
    with left, st.container(border=True):
        charts.show(sensitivity(found), key="sensitivity_chart")
        st.caption(
            f"Validation accuracy ({found['images']:,} examples) with one layer compressed; uncompressed: "
            f"{format.percent(found['baseline']['accuracy'])}. Batch norm is recalibrated each time; nothing is "
            "trained, so fine-tuning can recover much of the loss."
        )
    with right:
        _policy(one, found)


def _policy(one: LayerView, found: dict[str, Any]) -> None:
    """The mix that loses least within a budget, and what to do with it."""
    what = BUDGETED[found["kind"]]
    share = st.slider(
        f"Budget (share of the {what})", 5, 100, 40, 5, format="%d %%", key="budget", persist_state="session",
        help="Share of the layers above, in fp32. The mix of strengths with the smallest loss within this budget is "
        "chosen.",
    )  # fmt: skip
    try:
        mixed = policy(found, share / 100)
    except CompressError as error:
        st.info(f"{plain(str(error)[:1].upper() + str(error)[1:])}. Raise the budget.", icon=":material/info:")
        return
    st.markdown(
        f"**{format.percent(mixed['share'])} of the {what}**, at {mixed['loss']:.3g} nats of added loss (summed over "
        "the layers)."
    )
    write = strength_of(found["kind"])
    layers = list(dict.fromkeys(row["layer"] for row in found["rows"]))
    strengths = {
        plain(name): write(mixed["policy"][name]) if name in mixed["policy"] else "unchanged" for name in layers
    }
    st.table(strengths, border="horizontal", height=360 if len(strengths) > 9 else "content")
    made = step(found, mixed)
    if made is None:
        st.caption("No compression needed: the layers fit the budget.")
        return
    st.caption("Step for a recipe:")
    st.code(json.dumps(made, indent=1), language="json", height=240 if len(made["policy"]) > 5 else "content")
    if one.role != "teacher" and st.button(  # steps act on the student
        "New experiment with it", key="with_policy", icon=":material/science:",
        help="Opens the form with this run's recipe: its steps up to this variant, then this one.",
    ):  # fmt: skip
        _open(one, made)


def _open(one: LayerView, made: dict[str, Any]) -> None:
    """The form with the run's Recipe, its steps up to the variant, and the new one."""
    rows = {row.name: row for row in store.plan(one.run).variants}
    steps, parent = 0, rows[one.name].parent
    while parent:
        steps, parent = steps + 1, rows[parent].parent
    try:
        recipe = api.recipe(store.workspace(), one.run)
        set_here = [f"{path}={json.dumps(value)}" for path, value in rows[one.name].values.items()]
        document = override(recipe.document(), set_here) | {"sweep": {}}
        document["compress"] = [*document["compress"][:steps], made]
        draft.load(parse(document), f"{recipe.name[:100]}, by layer")
    except RecipeError as error:
        st.error(f"Cannot be opened in the form: {plain(str(error))}")
        return
    st.switch_page("new/page.py")
