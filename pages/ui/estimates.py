"""How long a Recipe will take here, kept as long as nothing was learned that would change it."""

from __future__ import annotations

import json

import streamlit as st

from kdcore.models.cost import CostError
from kdcore.pipeline.estimate import Estimate, estimate
from kdcore.pipeline.plan import plan
from kdcore.recipe import Recipe, parse
from pages.ui import store


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
