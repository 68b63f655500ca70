"""Lesson 2: a student recognises a digit of which it never saw an image (Hinton's experiment)."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.recall import RecallPoint, recall
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Curve
from kdcore.report import format
from kdcore.report.statistics import t_interval

PATH, HIDDEN = "distill.temperature", "3"
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


def points(found: Evidence) -> list[RecallPoint]:
    """Recall of the hidden digit by every seed at every temperature."""
    made = []
    for temperature in TEMPERATURES:
        variant = found.at("distilled", {PATH: temperature})["variant"]
        for report in found.reports(variant):
            one = next(row for row in report["quality"]["hidden"] if row["class"] == HIDDEN)
            made.append(RecallPoint(temperature, one["recall"], one["recall_corrected"]))
    return made


def _over_seeds(seen: list[RecallPoint], which: str) -> list[tuple[float, float, float]]:
    """Mean and interval in % at each temperature."""
    made = []
    for temperature in TEMPERATURES:
        mean, low, high = t_interval([getattr(one, which) for one in seen if one.temperature == temperature], 0.01)
        bounds = (mean if bound is None else min(1.0, max(0.0, bound)) for bound in (low, high))
        made.append((100 * mean, *(100 * bound for bound in bounds)))
    return [(mean, low, high) for mean, low, high in made]


def measure(found: Evidence) -> Answer:
    value, low, high = zip(*_over_seeds(points(found), "recall"), strict=True)
    hot = TEMPERATURES[value.index(max(value))]
    verdict = (
        f"The student recognises {format.percent(value[0] / 100)} of the {HIDDEN}s at T = {TEMPERATURES[0]:g}, and at "
        f"best {format.percent(max(value) / 100)}, at T = {hot:g}."
    )
    return Answer(value, low, high, verdict)


def explain(found: Evidence) -> str:
    raw, corrected = (_over_seeds(points(found), which) for which in ("recall", "corrected"))
    alone, teacher = found.first("alone"), found.first("teacher")
    unseen = next(one.recall for one in found.hidden if one.variant == alone["variant"])
    best = max(range(len(corrected)), key=lambda place: corrected[place][0])
    return (
        f"No image of a {HIDDEN} was ever shown to a student. The student alone, which learns from labels, recognises "
        f"{format.percent(unseen)} of them: for it a {HIDDEN} does not exist. The teacher saw them all "
        f"({format.percent(teacher['accuracy'])} test accuracy).\n\n"
        f"The student still learns about {HIDDEN}s, because soft targets of *other* digits mention them: this 8 looks "
        f"a little like a {HIDDEN}, that 1 does not. At a low temperature these probabilities are almost zero. "
        "Dividing the logits by a larger T makes them large enough to learn from.\n\n"
        f"The student has learned how a {HIDDEN} looks, but also that it is rare: in its training it never was the "
        "answer, so its bias is too low. **Bias correction** raises this one number until the predicted share of "
        f"{HIDDEN}s on the validation images equals their real share. At T = {TEMPERATURES[best]:g} recall then goes "
        f"from {format.percent(raw[best][0] / 100)} to {format.percent(corrected[best][0] / 100)}."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    return (recall(points(found), HIDDEN),)


LESSON = Lesson(
    name="never-seen",
    order=2,
    title="The digit it never saw",
    icon=":material/visibility_off:",
    question=(
        "A student learns from its teacher's soft targets alone, with no labels. All images of a **3** are removed "
        "from its training set. The temperature T makes the soft targets softer.\n\n"
        "**What share of the 3s in the test set does the student recognise, for each temperature?**"
    ),
    prediction=Curve(
        "Recall of the 3s", "T = {}", "Temperature T", TEMPERATURES, "%", low=0, high=100, step=5, close=10
    ),
    preset="unseen-digit",
    measure=measure,
    explain=explain,
    formula=(
        r"q_k = \frac{\exp(z_k / T)}{\sum_j \exp(z_j / T)} \qquad z_3 \to z_3 + b, \quad "
        r"\frac{1}{N} \sum_n p_3(x_n; b) = \pi_3"
    ),
    figures=figures,
    sources=(
        Source(
            "Hinton, Vinyals and Dean 2015, section 3", "Distilling the Knowledge in a Neural Network",
            "https://arxiv.org/abs/1503.02531",
        ),
    ),
    next=Change("Hide two digits, 3 and 8, which look alike. Does the student still find both?",
                ('data.hide_classes=["3","8"]',)),
)  # fmt: skip
