"""Lesson 5: filters or weights, the small ones or any, with or without the teacher; and where it breaks."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from kdcore.figures.frontier import against_size
from kdcore.lessons import words
from kdcore.lessons.evidence import Evidence, Row
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Curve
from kdcore.lessons.small import few_labels
from kdcore.report import format

RATIOS = (0.25, 0.5, 0.75, 0.9)
DEEP = 0.75
STUDENT = "student distilled"
STEPS = 80

Chain = list[dict[str, Any]]


def _step(kind: str, ratio: float, importance: str, targets: str = "teacher") -> Chain:
    tuned = {"steps": STEPS, "learning_rate": 0.003, "targets": targets}
    even = {"round_to": 2} if kind == "prune_structured" else {}
    return [{"step": kind, "ratio": ratio, "importance": importance, **even, "finetune": tuned}]


FILTERS = {ratio: _step("prune_structured", ratio, "l2") for ratio in RATIOS}
BY_LABELS = _step("prune_structured", DEEP, "l2", "labels")
WEIGHTS = _step("prune_unstructured", DEEP, "magnitude")
ANY_WEIGHTS = _step("prune_unstructured", DEEP, "random")


def _row(found: Evidence, chain: Chain) -> Row:
    return found.at("pruned", {"compress": chain})


def measure(found: Evidence) -> Answer:
    rows = [_row(found, FILTERS[ratio]) for ratio in RATIOS]
    value, low, high = (
        tuple(100 * row[name] for row in rows) for name in ("accuracy", "accuracy_low", "accuracy_high")
    )
    whole = found.row(STUDENT)["accuracy"]
    verdict = (
        f"Test accuracy is {format.percent(whole)} without pruning, {format.percent(value[0] / 100)} with "
        f"{100 * RATIOS[0]:g} % of the filters removed, and {format.percent(value[-1] / 100)} with "
        f"{100 * RATIOS[-1]:g} %."
    )
    return Answer(value, low, high, verdict)


def explain(found: Evidence) -> str:
    smallest = _compared(
        found, WEIGHTS, ANY_WEIGHTS, "the student without its smallest weights", "the one without random ones"
    )
    finer = _compared(found, WEIGHTS, FILTERS[DEEP], "the student that lost weights", "the one that lost filters")
    teacher = _compared(
        found, FILTERS[DEEP], BY_LABELS, "the student fine-tuned with its teacher", "the one fine-tuned on labels alone"
    )
    return (
        f"Four students lose {100 * DEEP:g} % and are fine-tuned for {STEPS} steps (*Numbers*).\n\n"
        f"**What to remove.** {smallest}\n\n"
        f"**Weights or filters.** {finer} But zeros stay in the file, and are multiplied. Removing filters saves "
        "bytes and time.\n\n"
        f"**Who teaches.** {teacher}"
    )


def _compared(found: Evidence, one: Chain, other: Chain, of: str, against: str) -> str:
    difference = found.between(_row(found, one)["variant"], _row(found, other)["variant"])
    return words.upper(words.compared(difference, of, against))


def table(found: Evidence) -> str:
    lines = ["| Removed | Test accuracy | File | Speed, batch 64 |", "| --- " * 4 + "|"]
    lines.append(_line(found, "Nothing", found.row(STUDENT)))
    ways = {
        "Filters, with the teacher": FILTERS[DEEP], "Filters, labels alone": BY_LABELS,
        "Weights, smallest first": WEIGHTS, "Weights at random": ANY_WEIGHTS,
    }  # fmt: skip
    return "\n".join([*lines, *(_line(found, name, _row(found, chain)) for name, chain in ways.items())])


def _line(found: Evidence, name: str, row: Row) -> str:
    return (
        f"| {name} | {format.percent(row['accuracy'])} | {format.size(row['size_bytes'])} "
        f"| {format.times(found.faster(row['variant'], STUDENT).value)} |"
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    return (against_size(found.rows),)


LESSON = Lesson(
    name="prune-until-it-breaks",
    order=5,
    title="Prune until it breaks",
    icon=":material/content_cut:",
    question=(
        "A distilled student loses the **smallest of its filters**: a quarter, half, three quarters, nine tenths. Each "
        "time it is fine-tuned briefly with its teacher, on 200 labelled images.\n\n"
        "**What test accuracy is left?** At which point would you stop?"
    ),
    prediction=Curve(
        "Test accuracy", "{} % removed", "Filters removed (%)", tuple(100 * ratio for ratio in RATIOS), "%",
        low=0, high=100, step=5, close=8,
    ),
    document=few_labels(
        200, 32,
        compress_seeds="all",
        measure={"timing_seconds": 3},
        seeds=[0, 1, 2],
        sweep={"compress": [*FILTERS.values(), BY_LABELS, WEIGHTS, ANY_WEIGHTS]},
    ),
    measure=measure,
    explain=explain,
    table=table,
    formula=(
        r"s_f = \sqrt{\sum_{c,i,j} W_{f c i j}^2} \; \text{(a filter)} \qquad s_w = | w | \; \text{(a weight)} \qquad "
        r"\text{remove the lowest } s"
    ),
    figures=figures,
    sources=(
        Source("Li et al. 2017", "Pruning Filters for Efficient ConvNets", "https://arxiv.org/abs/1608.08710"),
        Source("Han et al. 2015", "Learning both Weights and Connections for Efficient Neural Networks",
               "https://arxiv.org/abs/1506.02626"),
    ),
    next=Change("Prune half of the filters, and fine-tune five times as long. How much comes back?",
                ('compress=[{"step": "prune_structured", "ratio": 0.5, "round_to": 2, "finetune": {"steps": 400}}]',
                 "sweep={}")),
)  # fmt: skip
