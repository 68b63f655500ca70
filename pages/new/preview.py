"""Before you run: what the Recipe would make, cost and take, and the same Recipe to copy."""

from __future__ import annotations

import json
import pprint
import shlex
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from kdcore import inputs
from kdcore.data.dataset import NotFetched, load
from kdcore.data.places import place
from kdcore.distill.scheme import scheme_of
from kdcore.distill.traits import part_traits
from kdcore.jobs import api
from kdcore.models.cost import Borrowed, Cost, CostError, Question, costs
from kdcore.plan.plan import plan
from kdcore.plan.rules.advice import advice
from kdcore.presets import Preset, presets
from kdcore.recipe import Problem, Recipe, RecipeError
from kdcore.registry import Options, validate
from kdcore.report import format
from kdcore.report.images import interval_width, looked_at
from kdcore.workspace import access
from kdcore.workspace.plans import Data, Plan, Stage
from kdcore.workspace.workspace import Workspace
from pages.new import search
from pages.new.form import describe
from pages.shared import draft, estimates, people, roles, store
from pages.shared.fields import place_of
from pages.shared.text import plain


class Planned(NamedTuple):
    """The plan of the draft, None where it cannot run; what is wrong with it or worth knowing."""

    plan: Plan | None
    problems: list[Problem]


def planned(recipe: Recipe) -> Planned:
    here = store.workspace()
    teacher = getattr(recipe.teacher.source, "path", "")
    state = _prepared(recipe.data.source), store.identity(here.models), store.identity(Path(teacher))
    return _planned(recipe.to_json(), str(here.root), state)


@st.cache_data(max_entries=50, show_spinner=False)
def _planned(text: str, root: str, state: Any) -> Planned:
    recipe = Recipe.model_validate_json(text)
    try:
        return Planned(plan(recipe, Workspace(root)), [])
    except NotFetched as error:
        missing = error.download_bytes
        here = f"is not on this machine yet ({format.size(missing)})" if missing else "is not prepared yet"
        press = f"{error.title} {here}: press {'Download' if missing else 'Prepare'} under Data"
        return Planned(None, [Problem("data.source", press)])
    except RecipeError as error:
        unpicked = not getattr(recipe.teacher.source, "model", True)  # the form has a list where a shell takes an id
        picks = {"teacher.source.model": "choose a finished model"} if unpicked else {}
        return Planned(None, [one._replace(message=picks.get(one.field, one.message)) for one in error.problems])


def classes(document: dict[str, Any]) -> list[str]:
    """Names of the classes of the draft's data set; none while it is not on this machine."""
    found = about(document)
    return found[0] if found else []


def read_as(document: dict[str, Any]) -> str | None:
    """What networks read the draft's data set as; None while it is not on this machine."""
    found = about(document)
    return inputs.of(found[1]).read_as if found else None


def about(document: dict[str, Any]) -> tuple[list[str], list[int]] | None:
    """Classes and image shape (C, H, W) of the draft's data set; None while it is not on this machine."""
    try:
        source = validate("dataset", document["data"]["source"])
    except ValidationError:
        return None
    return _about(source.model_dump_json(), _prepared(source))


@st.cache_data(max_entries=50, show_spinner=False)
def _about(source: str, identity: store.Identity | None) -> tuple[list[str], list[int]] | None:
    try:
        dataset = load(validate("dataset", json.loads(source)))
    except RecipeError:
        return None
    return list(dataset.classes), list(dataset.shape)


def _prepared(source: Options) -> store.Identity | None:
    """What changes when the data set is fetched or prepared again."""
    try:
        return store.identity(place(source) / "info.json")
    except RecipeError:
        return None


def panel(recipe: Recipe | None, plan: Plan | None, problems: list[Problem]) -> list[Problem]:
    """The column beside the form. Start is enabled only for what can run. Returns the advice."""
    with st.container(border=True):
        st.subheader("Before you run", anchor=False)
        for problem in problems:
            st.error(f"**{plain(place_of(problem.field))}**: {plain(problem.message)}")
        slot = st.container()
        pressed = st.button(
            "Start", type="primary", icon=":material/play_arrow:", width="stretch",
            **people.unless(access.to_launch(), disabled=plan is None),
        )  # fmt: skip
        if pressed and recipe and plan:
            _start(recipe)
        search.offer(recipe, plan is not None)
        if recipe:
            _copies(recipe)
    if recipe and plan:
        with slot.skeleton(height=180):
            return _numbers(slot, recipe, plan)
    return []


def _start(recipe: Recipe) -> None:
    """Queues the Recipe and goes to where it can be watched; says why where it cannot be queued."""
    try:
        run_id = api.submit(store.workspace(), recipe)
    except access.Refused as error:
        st.error(plain(str(error)))
        return
    store.dispatch()
    st.switch_page("runs/page.py", query_params={"run": run_id})


class Networks(NamedTuple):
    """What the networks of a plan cost; `teacher` where it is known, `deployed` where the student borrows layers."""

    student: Cost
    teacher: Cost | None = None
    deployed: Cost | None = None


def _numbers(slot: Any, recipe: Recipe, plan: Plan) -> list[Problem]:
    given = plan.stages[0] if plan.stages[0].kind == "given" else None  # a teacher that is there already
    try:
        repeated = given is not None and given.spec.get("channels") == "repeated"
        networks = _networks(recipe, plan.dataset, known=not given or "model" in given.spec, repeated=repeated)
    except CostError as error:
        slot.warning(plain(str(error)))
        return []
    warnings = advice(recipe, networks.teacher, networks.student)
    for problem in warnings:
        slot.warning(plain(problem.message), icon=":material/lightbulb:")
    slot.table(_sizes(recipe, networks, given, inputs.of(plan.dataset["shape"]).one), border="horizontal")
    if networks.teacher and recipe.start == "train":
        slot.markdown(_smaller(recipe, networks.teacher, networks))
    if (others := company(recipe)) and recipe.start == "train":
        slot.markdown(plain(others))
    time = estimates.of(recipe)
    parallel = format.shortest(time.shortest, time.speedup) if time.shortest and time.speedup else None
    slot.markdown(f":material/timer: {plain(estimates.words(time))} · {plain(time.basis)}", help=parallel)
    slot.caption(_evaluated(recipe, plan))
    return warnings


def _networks(recipe: Recipe, dataset: Data, *, known: bool, repeated: bool) -> Networks:
    """`known`: whether the Recipe's `teacher.model` is the teacher. `repeated`: it is given grey images in colour.

    Raises CostError.
    """
    shape = tuple(dataset["shape"])
    student = Question(recipe.student.model, len(dataset["classes"]), shape)
    if not known:
        return Networks(*costs([student]))
    teacher = student._replace(architecture=recipe.teacher.model)
    if repeated:
        teacher = teacher._replace(shape=(3, *shape[1:]))
    if reduction := _borrows(recipe):
        deployed = student._replace(borrowed=Borrowed(recipe.teacher.model, reduction))
        return Networks(*costs([student, teacher, deployed]))
    return Networks(*costs([student, teacher]))


def _smaller(recipe: Recipe, teacher: Cost, networks: Networks) -> str:
    small = networks.deployed or networks.student
    whose = "its" if scheme_of(recipe).begins == "teacher" else "the"
    return (
        f"The student is **{format.times(teacher.size_bytes / small.size_bytes)} smaller** than {whose} teacher"
        f" and needs **{format.times(teacher.macs / small.macs)} fewer MACs** (compute, not time)"
        f"{', including the classifier that it reuses and its projector' if networks.deployed else ''}."
    )


def _evaluated(recipe: Recipe, plan: Plan) -> str:
    images = plan.dataset
    kind = inputs.of(images["shape"])
    seen = f"{format.plural(images['seen'], kind.one)}, {images['labelled']:,} of them labelled"
    teacher = f"; the teacher on {images['train']:,}" * (images["teacher"] == "trained")
    trained = f"The student is trained on {seen}{teacher}."
    if recipe.start == "model":
        trained = f"Steps that need {kind.many} use {seen}."
    sentences = [
        f"{format.plural(len(plan.stages), 'stage')}. {trained} Evaluated on "
        f"{format.plural(images['test'], f'held-out test {kind.one}')}, not used for selection.",
        interval_width(images),
        *looked_at(recipe, images),
    ]
    return " ".join(filter(None, sentences))


def company(recipe: Recipe) -> str:
    """What the scheme trains beside teacher and student, and what the teacher is for where it trains no student."""
    scheme = scheme_of(recipe)
    further = {f"teacher {number}": other.model for number, other in enumerate(scheme.others(recipe), 2)}
    further |= {link.label: link.model for link in scheme.links(recipe)}
    said = []
    if further:
        said.append(
            "Also trained: " + ", ".join(f"{name} ({_network(model)})" for name, model in further.items()) + "."
        )
    if beside := [_network(model) for model in scheme.beside(recipe)]:
        said.append(f"Also trained, not kept: {', '.join(beside)}.")
    if scheme.begins != "teacher":
        role = "only trains the controls." if recipe.controls else "trains no student; it is a reference."
        said.append(f"The teacher of this table {role}")
    return " ".join(said)


def _network(model: Options) -> str:
    return describe("architecture", model.model_dump(mode="json"))


def _borrows(recipe: Recipe) -> int | None:
    """How many times narrower the projector is, where the student is deployed with one."""
    found = (part.borrows for part in part_traits(recipe.distill))
    return next((reduction for reduction in found if reduction), None)


def _sizes(recipe: Recipe, networks: Networks, given: Stage | None, each: str) -> pd.DataFrame:
    """What they cost. `given`: the stage of a teacher that is not trained here. `each`: what an input is called."""
    student, teacher, deployed = networks
    first = "Teacher" if recipe.start == "train" else "Original model"
    columns = {f"{roles.mark('teacher')} {first}": _cost(teacher, each) if teacher else _known(given, each)}
    if recipe.start == "model":
        return pd.DataFrame(columns)
    columns[f"{roles.mark('distilled')} Student"] = _cost(student, each)
    if deployed:
        columns[f"{roles.mark('distilled')} As deployed"] = _cost(deployed, each)
    return pd.DataFrame(columns)


def _known(given: Stage | None, each: str) -> dict[str, str]:
    """What is known of a model that is there already: all of a finished one, its MACs at most of a file."""
    report = store.report(given.key) if given and store.workspace().complete(given.key) else None
    cost, size = (report or {}).get("cost") or {}, (report or {}).get("size") or {}
    params, macs, size_bytes = cost.get("params"), cost.get("macs") or (given and given.macs), size.get("size_bytes")
    return {
        "Parameters": format.count(params) if params else format.MISSING,
        f"MACs per {each}": format.count(macs) if macs else format.MISSING,
        "Size (fp32)": format.size(size_bytes) if size_bytes else format.MISSING,
    }


def _cost(one: Cost, each: str) -> dict[str, str]:
    return {
        "Parameters": format.count(one.params),
        f"MACs per {each}": format.count(one.macs),
        "Size (fp32)": format.size(one.size_bytes),
    }


def _copies(recipe: Recipe) -> None:
    with st.expander("Copy as JSON, command line or Python", icon=":material/content_copy:"):
        as_json, as_command, as_python = st.tabs(["JSON", "Command line", "Python"])
        as_json.code(recipe.to_json(), language="json", height=260)
        as_command.code(command(recipe), language="bash", wrap_lines=True)
        as_python.code(python(recipe), language="python", height=260)


def command(recipe: Recipe) -> str:
    """The line that runs this Recipe without a browser: the preset that is nearest, and what is changed in it."""
    document = recipe.document()

    def changes(preset: Preset) -> list[tuple[str, Any]]:
        return draft.assignments(preset.recipe.document(), document)

    nearest = min(presets(), key=lambda preset: len(changes(preset)))
    said = [
        f"--set {shlex.quote(f'{path}={json.dumps(value, ensure_ascii=False)}')}" for path, value in changes(nearest)
    ]
    return " \\\n  ".join([f"python -m kdcore run {nearest.name}", *said])


def python(recipe: Recipe) -> str:
    """The program that queues this Recipe."""
    document = pprint.pformat(recipe.document(), sort_dicts=False, width=100)
    return f"""import kdcore

run = kdcore.submit(
{textwrap.indent(document, "    ")}
)
print(run)  # kdcore.compare(run) gives its table; kdcore.run instead of submit waits for it
"""
