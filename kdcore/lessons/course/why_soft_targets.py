"""Lesson 1: what soft targets add to 50 labels."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.methods import methods
from kdcore.lessons import words
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Number
from kdcore.report import format

ALONE, SOFT, HARD = "student alone", "student distilled", "student on hard labels"


def measure(found: Evidence) -> Answer:
    return words.points(found.verdict(SOFT, ALONE), "the student with soft targets", "the student on labels alone")


def explain(found: Evidence) -> str:
    teacher, alone, soft, hard = (found.row(name) for name in ("teacher", ALONE, SOFT, HARD))
    against_hard = words.compared(
        found.verdict(SOFT, HARD), "with soft targets the student", "with the teacher's hard labels"
    )
    labels, steps = found.files.plan.dataset["labelled"], found.recipe.train.steps
    return (
        f"All three students see the same {labels} images for the same {steps} steps. They differ only in the target: "
        f"the label ({format.percent(alone['accuracy'])} test accuracy), the class that the teacher chooses "
        f"({format.percent(hard['accuracy'])}), or the teacher's probability of every class "
        f"({format.percent(soft['accuracy'])}). The teacher itself reaches {format.percent(teacher['accuracy'])}.\n\n"
        "A label says only *this is a 3*. A soft target adds *it looks a little like an 8 and not at all like a 1*. "
        "So each image teaches the student about several classes at once.\n\n"
        f"The hard labels are the control. {words.upper(against_hard)} What soft targets add there "
        "comes from the probabilities, not from the class that the teacher chose. A higher temperature T makes small "
        "probabilities visible."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    return (methods(found.verdicts, found.roles, ALONE),)


LESSON = Lesson(
    name="why-soft-targets",
    order=1,
    title="Why soft targets",
    icon=":material/school:",
    question=(
        "A small network, the student, learns digits from **50 labelled images**. A second student sees the same "
        "images, and also the **soft targets** of a large teacher: its probability for each of the ten digits.\n\n"
        "**How many points of test accuracy do the soft targets add?**"
    ),
    prediction=Number("Soft targets add", "points", low=-10, high=30, step=0.5, close=1),
    preset="quickstart",
    measure=measure,
    explain=explain,
    formula=(
        r"q_k = \frac{\exp(z_k / T)}{\sum_j \exp(z_j / T)} \qquad "
        r"L = \alpha \, \mathrm{CE}(y, p) + (1 - \alpha) \, T^2 \, \mathrm{KL}(q^{teacher} \| q^{student})"
    ),
    figures=figures,
    sources=(
        Source(
            "Hinton, Vinyals and Dean 2015", "Distilling the Knowledge in a Neural Network",
            "https://arxiv.org/abs/1503.02531",
        ),
    ),
    next=Change("Give the students four times as many labels. Do soft targets help as much?", ("data.labels=200",)),
    hands_on="temperature",
)  # fmt: skip
