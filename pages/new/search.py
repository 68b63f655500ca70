"""Search: instead of one run of the draft, the best model within limits. What is asked beside the Recipe."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from kdcore.jobs import api
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe
from kdcore.search.request import GOALS, AtMost, Goal, Search, parse
from kdcore.workspace import access
from pages.shared import people, store
from pages.shared.fields import place_of
from pages.shared.text import plain

REFUSED = "search_refused"  # in the session: what was wrong with the search that was asked for last
KEEP: Any = {"persist_state": "session"}


class Limit(NamedTuple):
    """A limit's control: its label, and how many of the field's unit are one of the label's."""

    label: str
    scale: float = 1.0


USUAL = {"size_bytes": Limit("Size (kB)", 1e3), "latency_ms": Limit("Latency (ms)")}
SELDOM = {
    "coded_bytes": Limit("Coded size (kB)", 1e3),
    "batch_ms": Limit("Time per example, batch 64 (ms)"),
    "macs": Limit("MACs (millions)", 1e6),
    "params": Limit("Parameters (thousands)", 1e3),
    "memory_mb": Limit("Peak memory (MB)"),
}


def offer(recipe: Recipe | None, ready: bool) -> None:
    """The fold that asks for limits and starts a search. `ready`: whether the Recipe could run."""
    box = st.expander("Search for the best within limits", icon=":material/manage_search:", key="search_open",
                      on_change="rerun")  # fmt: skip
    if not box.open:
        return
    with box:
        st.caption(
            "Tries student sizes, method settings and chains of steps in place of this recipe's own, and compares "
            "the best with a uniform chain of the same size. The rest of the recipe stays."
        )
        asked = _asked()
        problems: list[Problem] = st.session_state.get(REFUSED, [])
        for problem in problems:
            st.error(f"**{plain(_place(problem.field))}**: {plain(problem.message)}", icon=":material/error:")
        if st.button(
            "Start the search", key="search_start", icon=":material/manage_search:", width="stretch",
            **people.unless(access.to_launch(), disabled=not ready or recipe is None),
        ) and recipe:  # fmt: skip
            _start({"recipe": recipe.document(), **asked})


def _asked() -> dict[str, Any]:
    at_most: dict[str, float] = {}
    more: dict[str, Any] = {}
    left, right = st.columns(2)
    with left:
        at_most |= _limit("size_bytes", USUAL["size_bytes"])
    with right:
        lost = st.number_input(
            "Maximum loss of accuracy (points)", 0.0, 100.0, 1.0, 0.5, key="search_lost", format="%g", **KEEP,
            help=Search.model_fields["lose_at_most"].description,
        )  # fmt: skip
    with left:
        at_most |= _limit("latency_ms", USUAL["latency_ms"])
    with right:
        minutes = st.number_input(
            "Minutes",
            0.1,
            None,
            10.0,
            5.0,
            key="search_minutes",
            format="%g",
            help=Search.model_fields["minutes"].description,
            **KEEP,
        )
    best: Goal = st.segmented_control(
        "Optimize for", list(GOALS), default="accuracy", required=True, format_func=GOALS.__getitem__,
        key="search_best", help=Search.model_fields["best"].description, **KEEP,
    )  # fmt: skip
    if st.toggle("More limits", key="search_more", **KEEP):
        for name, limit in SELDOM.items():
            at_most |= _limit(name, limit)
        trials = st.number_input(
            "Candidates to train", 1, 1000, 30, 10, key="search_trials",
            help=Search.model_fields["trials"].description, **KEEP,
        )  # fmt: skip
        effort = st.slider(
            "Training of each candidate (share)", 0.05, 1.0, 1.0, 0.05, key="search_effort",
            help=Search.model_fields["effort"].description, **KEEP,
        )  # fmt: skip
        halving = st.toggle(
            "Successive halving", key="search_halving", help=Search.model_fields["halving"].description, **KEEP
        )
        more = {"trials": trials, "effort": effort, "halving": halving}
    return {"at_most": at_most, "lose_at_most": lost, "minutes": minutes, "best": [best], **more}


def _limit(name: str, limit: Limit) -> dict[str, float]:
    field = AtMost.model_fields[name]
    value = st.number_input(
        limit.label, 0.0, None, None, placeholder="no limit", key=f"search_{name}", help=field.description, format="%s",
        **KEEP,
    )  # fmt: skip
    if value is None:
        return {}
    scaled = value * limit.scale
    return {name: round(scaled) if limit.scale > 1 else scaled}


def _start(document: dict[str, Any]) -> None:
    try:
        with st.spinner("Sizing the smallest candidates"):
            run_id = api.search(store.workspace(), parse(document))
    except RecipeError as error:
        st.session_state[REFUSED] = error.problems
        st.rerun()
    st.session_state.pop(REFUSED, None)
    store.dispatch()
    st.switch_page("search/page.py", query_params={"run": run_id})


def _place(field: str) -> str:
    """Where a field of a search is, as somebody finds it."""
    name = field.partition("at_most.")[2]
    if name in (known := USUAL | SELDOM):
        return known[name].label
    words = {
        "at_most": "Limits",
        "lose_at_most": "Maximum loss of accuracy",
        "best": "Optimize for",
        "halving": "Successive halving",
        "search": "Search",
    }
    return words.get(field) or place_of(field.removeprefix("recipe."))
