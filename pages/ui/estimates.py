"""How long a Recipe will take here, kept as long as nothing was learned that would change it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

import streamlit as st

from kdcore.data.dataset import NotFetched
from kdcore.models.cost import CostError, costs
from kdcore.pipeline.estimate import Estimate, architectures, estimate
from kdcore.pipeline.plan import Plan, plan
from kdcore.recipe import Recipe, parse
from pages.ui import store


def count(recipes: Iterable[Recipe]) -> None:
    """Has the networks of all these Recipes counted in one process, where the first estimates would take one each."""
    if store.index().pace():
        with suppress(CostError):  # told where the estimate is shown
            _count([recipe.to_json() for recipe in recipes])


@st.cache_resource(max_entries=4, show_spinner=False)
def _count(recipes: list[str]) -> None:
    plans = [found for recipe in recipes if (found := _plan(parse(json.loads(recipe))))]
    costs(
        (options, len(found.dataset["classes"]), tuple(found.dataset["shape"]))
        for found in plans
        for options in architectures(found).values()
    )


def _plan(recipe: Recipe) -> Plan | None:
    try:
        return plan(recipe, store.workspace())
    except NotFetched:
        return None


def of(recipe: Recipe) -> Estimate:
    """The estimate with what it rests on. Stages whose models are there already count as nothing."""
    here = store.workspace()
    return _of(recipe.to_json(), str(here.root), store.identity(here.models))


@st.cache_data(max_entries=200, show_spinner=False)
def _of(recipe: str, root: str, identity: store.Identity | None) -> Estimate:
    store.index().sync()  # its pace is what the estimate rests on
    parsed = parse(json.loads(recipe))
    try:
        return estimate(plan(parsed, store.workspace()), store.workspace(), parsed.measure.timing_seconds)
    except CostError as error:
        return Estimate(None, str(error))
