"""Lesson 3: the temperature, the weights of the two terms, and the factor T²."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.sweep import sweep
from kdcore.lessons import words
from kdcore.lessons.evidence import Evidence, Row
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Number
from kdcore.lessons.small import few_labels
from kdcore.report import format

PATH, FAULT = "distill.temperature", "distill.fault"
TEMPERATURES = (1, 4, 16)
HOT = TEMPERATURES[-1]


def _row(found: Evidence, temperature: int, fault: str) -> Row:
    return found.at("distilled", {PATH: temperature, FAULT: fault})


def measure(found: Evidence) -> Answer:
    without, right = (_row(found, HOT, fault)["variant"] for fault in ("no_t2", "none"))
    return words.points(found.between(without, right), "without T² the student", "with it")


def explain(found: Evidence) -> str:
    without = found.between(_row(found, HOT, "no_t2")["variant"], found.first("alone")["variant"])
    against_alone = words.compared(without, "the student without T²", "the student on labels alone")
    return (
        "The loss weighs labels and soft targets. Dividing the logits by T divides the gradient of the soft term by "
        "about T². The factor T² restores it. Without the factor a higher T weakens the teacher; *Numbers* has the "
        "weights that are really in force.\n\n"
        f"At T = {HOT} the teacher is weakened, and not silenced: {against_alone}\n\n"
        "At T = 1 the factor is 1, so both trainings are the same. Temperature and weight are coupled: changing "
        "T without the factor T² changes both."
    )


def table(found: Evidence) -> str:
    options = found.recipe.distill.model_dump()
    ratio = options["soft_weight"] / options["hard_weight"]
    lines = ["| T | Test accuracy with T² | without | Soft : hard with T² | without |", "| --- " * 5 + "|"]
    for temperature in TEMPERATURES:
        right, without = (_row(found, temperature, fault)["accuracy"] for fault in ("none", "no_t2"))
        lines.append(
            f"| {temperature} | {format.percent(right)} | {format.percent(without)} | {format.trimmed(ratio)} : 1 "
            f"| {format.trimmed(ratio / temperature**2)} : 1 |"
        )
    return "\n".join(lines)


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    ways = {"none": "kept", "no_t2": "dropped"}
    rows = [dict(row) for row in found.rows]
    for row in rows:
        if FAULT in row["values"]:
            row["values"] = {PATH: row["values"][PATH], "factor T²": ways[row["values"][FAULT]]}
    chart = sweep(rows, PATH)
    right, without = (format.percent(_row(found, HOT, fault)["accuracy"]) for fault in ("none", "no_t2"))
    chart.layout.title.text = f"At T = {HOT}: {right} with T², {without} without"
    return (chart,)


LESSON = Lesson(
    name="how-hot",
    order=3,
    title="How hot?",
    icon=":material/thermostat:",
    question=(
        "The loss adds two terms: the labels, weight 0.1, and the soft targets at temperature T, weight 0.9 and a "
        "factor **T²**. Published code sometimes forgets that factor. Students with 50 labels train both ways, at T = "
        "1, 4 and 16.\n\n**At T = 16, by how many points does dropping T² change test accuracy?** Below zero: it costs."
    ),
    prediction=Number("Dropping T² changes", "points", low=-20, high=10, step=0.5, close=1),
    document=few_labels(
        50, 16, steps=240, method="faulty_kd",
        measure={"timing_seconds": 0},
        seeds=[0, 1, 2, 3, 4],
        sweep={PATH: list(TEMPERATURES), FAULT: ["none", "no_t2"]},
    ),
    measure=measure,
    explain=explain,
    table=table,
    formula=(
        r"L = 0.1 \, \mathrm{CE} + 0.9 \, T^2 \, \mathrm{KL}(q^t \| q^s), \qquad "
        r"\frac{\partial \, \mathrm{KL}}{\partial z_k} = \frac{1}{T} (q^s_k - q^t_k) \propto \frac{1}{T^2}"
    ),
    figures=figures,
    sources=(
        Source(
            "Hinton, Vinyals and Dean 2015, section 2", "Distilling the Knowledge in a Neural Network",
            "https://arxiv.org/abs/1503.02531",
        ),
    ),
    next=Change(
        "Keep T² and change the balance instead: labels and soft targets with equal weights.",
        ('distill={"method": "kd", "temperature": 4, "hard_weight": 0.5, "soft_weight": 0.5}', "sweep={}"),
    ),
)  # fmt: skip
