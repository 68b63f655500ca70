"""New experiment: the Recipe as a form, and beside it what it would cost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import streamlit as st

from kdcore import registry
from kdcore.jobs import limits
from kdcore.recipe import Data, Measure, Problem, Recipe, RecipeError, Student, Train, parse
from pages.new import data_section, preview, sections, start, teacher_section, vary
from pages.new.form import Form
from pages.shared import draft, store
from pages.shared.text import plain

USUAL = ("steps", "epochs", "batch_size", "learning_rate")
GROUPS = {  # what is seldom changed of a training
    "Optimizer": ("optimizer", "nesterov", "weight_decay", "decay_all", "clip_norm", "ema", "lora"),
    "Schedule": ("schedule", "milestones", "warmup", "patience", "test_curve"),
    "Label smoothing, precision and devices": ("label_smoothing", "precision", "devices"),
}


class Section(NamedTuple):
    """A part of the form: what it shows when closed, and what it draws when open. `owns` are its fields' paths."""

    title: str
    summary: Callable[[dict[str, Any]], str]
    draw: Callable[[Form], None]
    owns: tuple[str, ...]


def data(form: Form) -> None:
    data_section.draw(form)
    seldom = ["transfer", "validation", "seed"]
    if more("data", any(problem.field in [f"data.{name}" for name in seldom] for problem in form.problems)):
        form.part(Data, "data", seldom)


def teacher(form: Form) -> None:
    def its_training() -> None:
        if more("teacher", any(problem.field.startswith("teacher.train") for problem in form.problems)):
            st.caption("**Training**")
            training(form, "teacher.train", whole=True)

    teacher_section.draw(form, its_training)


def student(form: Form) -> None:
    form.part(Student, "student", ["model"])
    st.caption("**Training**, identical for the student alone and every distilled student")
    training(form, "train", more("student"))


def training(form: Form, path: str, whole: bool) -> None:
    """What is changed often; and the rest, in groups, if `whole` or where something in it is wrong."""
    form.part(Train, path, [*USUAL])
    wrong = [problem.field.removeprefix("sweep.").removeprefix(f"{path}.").split(".")[0] for problem in form.problems]
    if whole or any(name in Train.model_fields and name not in USUAL for name in wrong):
        for title, names in GROUPS.items():
            st.caption(f"**{title}**")
            form.part(Train, path, [*names])
        left = [name for name in Train.model_fields if name not in (*USUAL, *chain(*GROUPS.values()))]
        form.part(Train, path, left)


def distil(form: Form) -> None:
    chosen = draft.at(draft.get(), "scheme")["scheme"]
    asked = chosen != "offline" or any(problem.field.startswith("scheme") for problem in form.problems)
    description = plain(registry.entry("scheme", chosen).description)
    scheme = st.expander(
        f"Distillation scheme: {description}", asked, key=draft.key("scheme.open"), type="compact", on_change="rerun"
    )
    if scheme.open:
        with scheme:
            form.part(Recipe, "", ["scheme"])
    form.part(Recipe, "", ["distill"])
    st.caption("**Controls**: baselines trained on the same budget")
    form.part(Recipe, "", ["controls"])


def compress(form: Form) -> None:
    form.part(Recipe, "", ["compress", "compress_seeds"])


def measure(form: Form) -> None:
    form.part(Recipe, "", ["seeds"])
    form.part(Measure, "measure")
    vary.listed()
    form.say("sweep")


def more(name: str, wrong: bool = False) -> bool:
    """The switch that unfolds what is seldom changed, which shows by itself when something in it is `wrong`."""
    return st.toggle("Advanced", key=f"advanced_{name}", persist_state="session") or wrong


def owner(problem: Problem) -> str:
    """The part of the Recipe in which a problem stands, that of a swept value too."""
    return problem.field.removeprefix("sweep.").split(".")[0]


def tuning(form: Form) -> None:
    """How a finished model learns again after a step that asks for it."""
    st.caption(
        "How fine-tuning after a compression step learns from the original model. Its number of steps and its learning "
        "rate are set with each compression step."
    )
    form.part(Recipe, "", ["distill"])
    st.caption("**Training**")
    form.part(Train, "train", ["batch_size", "optimizer", "weight_decay", "views"])


SECTIONS = (
    Section("Data", sections.data_summary, data, ("data",)),
    Section("Teacher", teacher_section.summary, teacher, ("teacher",)),
    Section("Student", sections.student_summary, student, ("student", "train")),
    Section("Distil", sections.distil_summary, distil, ("scheme", "distill", "controls")),
    Section("Compress", sections.compress_summary, compress, ("compress", "compress_seeds")),
    Section("Measure", sections.measure_summary, measure, ("seeds", "measure", "sweep")),
)
OF_A_MODEL = (
    SECTIONS[0],
    Section("Trained model", teacher_section.summary, teacher, ("teacher",)),
    SECTIONS[4],
    Section("Fine-tuning", sections.tuning_summary, tuning, ("distill", "train", "student", "scheme", "controls")),
    SECTIONS[5],
)


def only(chosen: int) -> None:
    """One section is open at a time."""
    for index in range(len(shown)):
        if index != chosen:
            st.session_state[f"section_{index}"] = False


document = draft.get()
if strayed := limits.outside(store.workspace(), document):
    st.error(
        f"{plain(strayed)} is outside the folders that a class may read: upload the file instead, or ask the lecturer."
    )
    st.button("Start afresh", key="afresh", on_click=draft.start)
    st.stop()
draft.keep()
shown = OF_A_MODEL if document["start"] == "model" else SECTIONS
recipe: Recipe | None = None
problems: list[Problem] = []
try:
    recipe = parse(document)
except RecipeError as error:
    problems = error.problems
plan = None
st.title("New experiment", anchor=False)
if draft.restored():
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(":material/history: Restored as you left it.", width="content")
        st.button("Start afresh", key="afresh", type="tertiary", on_click=draft.start)
if recipe:
    with st.spinner("Checking the recipe"):
        plan, problems = preview.planned(recipe)

form_column, side = st.columns([1.7, 1], gap="large")
with form_column:
    form = Form(problems, {"data.hide_classes": preview.classes(document)}, preview.read_as(document))
    start.ask()
    form.part(Recipe, "", ["name"])
    for index, section in enumerate(shown):
        wrong = any(owner(problem) in section.owns for problem in problems)
        line = section.summary(document) + vary.summary(document, section.owns)
        # An expander is another one when its label, icon or beginning changes, so an open one keeps all three.
        opened = st.session_state.get(f"section_{index}", index == 0)
        title = f"**{index + 1} {section.title}**"
        box = st.expander(
            title if opened else f"{title} · {plain(line)}",
            key=f"section_{index}",
            icon=":material/error:" if wrong and not opened else None,
            expanded=opened,
            on_change=only,
            args=(index,),
        )
        if box.open:
            with box:
                section.draw(form)
with side:
    form.advise(preview.panel(recipe, plan, problems))
