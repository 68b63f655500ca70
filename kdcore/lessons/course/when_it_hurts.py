"""Lesson 4: a student that is too small to follow its teacher."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.sweep import sweep
from kdcore.lessons import words
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Curve
from kdcore.report import format
from kdcore.report.verdicts import Verdict

EPOCHS, PATH = "train.epochs", "distill.temperature"
BRIEF, LONG = 20, 40
TEMPERATURES = (1.0, 4.0, 16.0)


def _against_alone(found: Evidence, epochs: int, temperature: float) -> Verdict:
    distilled = found.at("distilled", {EPOCHS: epochs, PATH: temperature})
    return found.verdict(distilled["variant"], found.at("alone", {EPOCHS: epochs})["variant"])


def measure(found: Evidence) -> Answer:
    differences = [_against_alone(found, BRIEF, temperature) for temperature in TEMPERATURES]
    worst = min(differences, key=lambda one: one.points)
    at = TEMPERATURES[differences.index(worst)]
    sentence = words.compared(worst, f"at T = {at:g} the distilled student", "the student on labels alone")
    value, low, high = (tuple(getattr(one, part) for one in differences) for part in ("points", "low", "high"))
    return Answer(value, low, high, words.upper(sentence))


def explain(found: Evidence) -> str:
    teacher, student = found.first("teacher"), found.at("alone", {EPOCHS: BRIEF})
    longer = found.at("alone", {EPOCHS: LONG})
    hot, later = (_against_alone(found, epochs, TEMPERATURES[-1]) for epochs in (BRIEF, LONG))
    gap = words.compared(later, "the distilled student", "the student on labels alone")
    return (
        f"The student has {format.count(student['params'])} parameters, the teacher "
        f"{format.count(teacher['params'])}, and here all {found.files.plan.dataset['labelled']:,} training images "
        f"have labels. The student on labels alone reaches {format.percent(student['accuracy'])}.\n\n"
        "A hot target asks for more than the right class: it asks for the right logit of *every* class. At a high T "
        "the gradient is proportional to the difference of the logits (formula), so all ten count alike. A large "
        "student can follow. This one has too few weights: what it spends on the wrong classes is missing "
        f"for the right one. At T = {TEMPERATURES[-1]:g} the difference after {BRIEF} epochs is "
        f"{format.points(hot.points)}.\n\n"
        f"Is it only slow? After {LONG} epochs: {gap} Training longer takes the student on labels from "
        f"{format.percent(student['accuracy'])} to {format.percent(longer['accuracy'])}. Compare that with what any "
        "teacher adds here.\n\nThe settings were chosen to show this effect; they are no estimate for other data."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    return (sweep(found.rows, PATH),)


LESSON = Lesson(
    name="when-it-hurts",
    order=4,
    title="When distillation hurts",
    icon=":material/heart_broken:",
    question=(
        "The teacher is almost always right. The student is tiny: two filters a layer. It trains for 20 epochs, "
        "on soft targets alone, at three temperatures. The reference is the same student on labels alone.\n\n"
        "**How many points does the teacher add at each temperature?** Below zero: it hurts."
    ),
    prediction=Curve(
        "Difference to labels alone", "T = {}", "Temperature T", TEMPERATURES, "points",
        low=-25, high=15, step=1, close=3,
    ),
    document={
        "data": {"source": {"dataset": "digits"}},
        "teacher": {"model": {"architecture": "cnn", "width": 32}, "train": {"steps": 200}},
        "student": {"model": {"architecture": "cnn", "width": 2}},
        "distill": {"method": "kd", "temperature": 4, "hard_weight": 0, "soft_weight": 1},
        "train": {"epochs": BRIEF, "batch_size": 64},
        "measure": {"timing_seconds": 0},
        "seeds": [0, 1, 2, 3],
        "sweep": {EPOCHS: [BRIEF, LONG], PATH: [1, 4, 16]},
    },
    measure=measure,
    explain=explain,
    formula=r"T \to \infty : \quad \frac{\partial \, T^2 \, \mathrm{KL}}{\partial z_k} \approx \frac{1}{K} (z_k - v_k)",
    figures=figures,
    sources=(
        Source("Cho and Hariharan 2019", "On the Efficacy of Knowledge Distillation", "https://arxiv.org/abs/1910.01348"),
        Source("Mirzadeh et al. 2020", "Improved Knowledge Distillation via Teacher Assistant",
               "https://arxiv.org/abs/1902.03393"),
    ),
    next=Change("Make the student four times as wide. At which temperature does the teacher help now?",
                ("student.model.width=8",)),
)  # fmt: skip
