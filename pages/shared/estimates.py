"""How long a Recipe will take here, kept as long as nothing was learned that would change it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from contextlib import suppress

import psutil
import streamlit as st

from kdcore import machine
from kdcore.models.cost import CostError, Question, costs
from kdcore.plan.estimate import Estimate, architectures, estimate
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.recipe import Recipe, parse
from kdcore.report import format
from kdcore.workspace.plans import Plan
from kdcore.workspace.workspace import Workspace
from pages.shared import store


def at_hand(recipes: Iterable[Recipe]) -> bool:
    """Whether the estimates of all these Recipes take no time. At the first call they are begun to be looked into.

    Data sets are read and networks counted for them, all in one process, which takes seconds the first time.
    """
    here = store.workspace()
    paced = bool(store.index().pace())  # without one there is no estimate, and nothing to count
    return not _preparation([recipe.to_json() for recipe in recipes], str(here.root), paced).is_alive()


@st.cache_resource(max_entries=4, show_spinner=False)
def _preparation(recipes: list[str], root: str, paced: bool) -> threading.Thread:
    thread = threading.Thread(target=prepare, args=(recipes, Workspace(root), paced), daemon=True)
    thread.start()
    return thread


def prepare(recipes: list[str], here: Workspace, paced: bool) -> None:
    """Plans these Recipes and counts their networks, so that what they cost is known afterwards."""
    plans = [found for recipe in recipes if (found := _plan(parse(json.loads(recipe)), here))]
    with suppress(CostError):  # reported where the estimate is shown
        costs(question for plan in (plans if paced else ()) for question in _questions(plan))


def _questions(plan: Plan) -> list[Question]:
    about = len(plan.dataset["classes"]), tuple(plan.dataset["shape"])
    return [Question(options, *about) for options in architectures(plan).values()]


def _plan(recipe: Recipe, here: Workspace) -> Plan | None:
    try:
        return plan(recipe, here)
    except RecipeError:  # something is not here yet: said where the estimate is shown
        return None


def of(recipe: Recipe) -> Estimate:
    """The estimate with what it rests on. Stages whose models are there already count as nothing."""
    here = store.workspace()
    return _of(recipe.to_json(), str(here.root), store.identity(here.models))


@st.cache_data(max_entries=200, show_spinner=False)
def _of(recipe: str, root: str, identity: store.Identity | None) -> Estimate:
    parsed = parse(json.loads(recipe))
    planned = plan(parsed, store.workspace())
    store.index().sync()  # its pace is what the estimate rests on
    try:
        asked = parsed.measure
        return estimate(planned, store.workspace(), asked.timing_seconds, robustness=asked.robustness)
    except CostError as error:
        return Estimate(None, str(error))


BUSY = 1.5  # times as long as on an idle machine: from here on it is said


def words(found: Estimate) -> str:
    """How long it takes, as a range; on a busy machine its end is later, and the words say so."""
    if found.seconds is None or found.low is None or found.high is None:
        return "no estimate yet"
    crowding = machine.crowding()
    if crowding < BUSY:
        return format.between(found.low, found.high)
    return f"{format.between(found.low, found.high * crowding)} ({busy()})"


def busy() -> str:
    """That this machine is busy, and how much; nothing while it is not."""
    if machine.crowding() < BUSY:
        return ""
    return (
        f"this machine is busy: load {psutil.getloadavg()[0]:.1f} on {format.plural(psutil.cpu_count() or 1, 'core')}"
    )
