"""Lesson 10: five faults that published code has had, each really run; name them from their symptoms."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.losses import Loss, losses
from kdcore.figures.methods import methods
from kdcore.lessons.evidence import Evidence, Row
from kdcore.lessons.lesson import Change, Lesson, Source, Symptoms
from kdcore.lessons.predictions import Answer, Matching
from kdcore.lessons.small import few_labels
from kdcore.report import format
from kdcore.report.verdicts import Verdict

PATH, RIGHT = "distill.fault", "none"
CASES = {"A": "mean", "B": "train_mode", "C": "unused", "D": "swapped", "E": "no_t2"}
FAULTS = {
    "swapped": "The arguments of the KL divergence are swapped",
    "no_t2": "The factor T² is missing",
    "mean": "reduction='mean' instead of 'batchmean'",
    "train_mode": "The teacher is in training mode",
    "unused": "The teacher's output is never used",
}
SHORT = {
    "swapped": "swapped", "no_t2": "no T²", "mean": "mean", "train_mode": "training mode", "unused": "unused",
}  # fmt: skip


def _row(found: Evidence, fault: str) -> Row:
    return found.at("distilled", {PATH: fault})


def _first_loss(found: Evidence, fault: str) -> float:
    return float(found.history(_row(found, fault)["variant"])[0]["loss"])


def symptoms(found: Evidence) -> Symptoms:
    """The reference and the five cases under letters."""
    alone = found.first("alone")
    students = {"Correct": RIGHT} | CASES
    lines = [_line("Labels alone", alone, found)]
    lines += [_line(name, _row(found, fault), found) for name, fault in students.items()]
    curves = [
        Loss(name, tuple(epoch["loss"] for epoch in found.history(_row(found, fault)["variant"])))
        for name, fault in students.items()
    ]
    head = ["| Student | Loss, first to last epoch | Test accuracy | Same class as teacher |", "| --- " * 4 + "|"]
    return Symptoms("\n".join([*head, *lines]), losses(curves, "The training loss of each student"))


def _line(name: str, row: Row, found: Evidence) -> str:
    history = found.history(row["variant"])
    return (
        f"| {name} | {format.significant(history[0]['loss'])} to {format.significant(history[-1]['loss'])} "
        f"| {format.percent(row['accuracy'])} | {format.percent(row['agreement'])} |"
    )


def measure(found: Evidence) -> Answer:
    hurt = [fault for fault in CASES.values() if _against_right(found, fault).verdict == "WORSE"]
    if hurt:
        named = "; ".join(FAULTS[fault] for fault in hurt)
        verdict = f"Significantly less accurate than the correct student: {len(hurt)} of {len(CASES)} ({named})."
    else:
        verdict = "No fault is significantly less accurate than the correct student: the loss gives them away."
    return Answer(tuple(CASES.values()), verdict=verdict)


def _against_right(found: Evidence, fault: str) -> Verdict:
    return found.between(_row(found, fault)["variant"], _row(found, RIGHT)["variant"])


def explain(found: Evidence) -> str:
    options = found.recipe.distill.model_dump()
    hard = options["hard_weight"] * float(found.history(found.first("alone")["variant"])[0]["loss"])
    whole, square = _first_loss(found, RIGHT), options["temperature"] ** 2
    classes = len(found.files.plan.dataset["classes"])
    letters = {fault: case for case, fault in CASES.items()}
    loss = {fault: format.significant(_first_loss(found, fault)) for fault in CASES.values()}
    expected = {divisor: format.significant(hard + (whole - hard) / divisor) for divisor in (square, classes)}
    return (
        f"The correct loss begins at {format.significant(whole)}; its label term is about {format.significant(hard)} "
        "of that. So a fault shows in the first epoch:\n\n"
        f"- **{letters['unused']}**, teacher unused: only the label term is left ({loss['unused']}).\n"
        f"- **{letters['no_t2']}**, no T²: soft term over {square:g}, so {expected[square]} is expected; it is "
        f"{loss['no_t2']}.\n"
        f"- **{letters['mean']}**, `mean` averages over the {classes} classes too: {expected[classes]} is expected; "
        f"it is {loss['mean']}.\n"
        f"- **{letters['swapped']}**, swapped: almost the same loss ({loss['swapped']}).\n"
        f"- **{letters['train_mode']}**, training mode: batch norm uses each mixed batch's own statistics, so the "
        f"targets themselves are wrong ({loss['train_mode']}).\n\n"
        f"{measure(found).verdict} So test accuracy alone is no test: assert the first loss against a value worked out "
        "by hand."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    named = {_row(found, fault)["variant"]: f"{case}: {SHORT[fault]}" for case, fault in CASES.items()}
    named[_row(found, RIGHT)["variant"]] = "Correct"
    judged = [one._replace(variant=named[one.variant]) for one in found.verdicts]
    return symptoms(found).figure, methods(judged, dict.fromkeys(named.values(), "distilled"), "student alone")


LESSON = Lesson(
    name="find-the-bug",
    order=10,
    title="Find the bug",
    icon=":material/bug_report:",
    question=(
        "Five students train with one fault each, all met in published code. The labels weigh 0.1, the soft targets "
        "0.9, T = 4, and there are ten classes. **Which fault has which symptom?**"
    ),
    prediction=Matching("The fault of each student", tuple(CASES), FAULTS),
    document=few_labels(
        50, 16, steps=240, method="faulty_kd",
        measure={"timing_seconds": 0},
        seeds=[0, 1, 2],
        sweep={PATH: [RIGHT, "train_mode", "swapped", "no_t2", "mean", "unused"]},
    ),
    measure=measure,
    explain=explain,
    formula=r"L = 0.1 \, \mathrm{CE} + 0.9 \, T^2 \, \frac{1}{B} \sum_n \sum_k q^t_{nk} \log \frac{q^t_{nk}}{q^s_{nk}}",
    figures=figures,
    sources=(
        Source("PyTorch", "KLDivLoss: arguments, log_target and reduction",
               "https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html"),
        Source("Hinton, Vinyals and Dean 2015", "Distilling the Knowledge in a Neural Network",
               "https://arxiv.org/abs/1503.02531"),
    ),
    next=Change("Train the correct student with all labels. Which faults would still be visible?",
                ('distill={"method": "kd", "temperature": 4, "hard_weight": 0.1, "soft_weight": 0.9}', "sweep={}",
                 "data.labels=null")),
    symptoms=symptoms,
)  # fmt: skip
