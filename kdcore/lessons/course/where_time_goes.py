"""Lesson 7: MACs against milliseconds, layer by layer; why 90 % zeros are no faster."""

from __future__ import annotations

from functools import cache

import plotly.graph_objects as go

from kdcore.figures.layer_times import REST, Timed, layer_times, timed
from kdcore.lessons.evidence import Evidence, Row
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Number
from kdcore.lessons.small import few_labels
from kdcore.measure import layer_times as profiler
from kdcore.report import format
from kdcore.report.comparison import BATCH
from kdcore.report.sessions import Speed

STUDENT, ZEROS, FILTERS = "student distilled", "90 % zeros", "pruned 50 %"


def _speed(one: Speed) -> str:
    """A speed-up with its interval, and whether it is one."""
    value = f"{format.times(one.value)} (95 % interval {format.times(one.low)} to {format.times(one.high)})"
    return value if one.differs else f"{value}: no measurable difference"


def measure(found: Evidence) -> Answer:
    one = found.faster(ZEROS, STUDENT)
    return Answer(one.value, one.low, one.high, f"The file with 90 % zeros is {_speed(one)}, at batch size {BATCH}.")


def explain(found: Evidence) -> str:
    student, zeros, filters = (found.row(name) for name in (STUDENT, ZEROS, FILTERS))
    ms = _timed(found, student).ms
    rest = ms.get(REST, 0.0) / sum(ms.values())
    return (
        f"The file with zeros has {format.percent(zeros['sparsity'])} zeros, {format.size(zeros['size_bytes'])} and "
        f"{format.count(zeros['macs'])} MACs per image; the student has {format.size(student['size_bytes'])} and "
        f"{format.count(student['macs'])}. Both are the same: a convolution multiplies dense blocks, and multiplying "
        "by zero takes as long as by any other number. To skip a zero, the processor would have to look first, and "
        "looking costs more than it saves.\n\n"
        f"Removing whole **filters** makes the blocks themselves smaller: {format.count(filters['macs'])} MACs, "
        f"{format.size(filters['size_bytes'])}, and a speed of {_speed(found.faster(FILTERS, STUDENT))}, at "
        f"batch size {BATCH}.\n\n"
        f"MACs are not milliseconds, though. What has no weights (normalisation, pooling) takes "
        f"{format.percent(rest)} of the student's time and has no MACs at all: it moves data. The chart shows each "
        f"layer of this run's files, timed by ONNX Runtime's profiler just now."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    return (layer_times([_timed(found, found.row(name)) for name in (STUDENT, ZEROS, FILTERS)], BATCH),)


def _timed(found: Evidence, row: Row) -> Timed:
    layers = found.reports(row["variant"])[0]["layers"]
    path = found.workspace.model(row["model_key"]) / "model.onnx"
    kernels = _profiled(path, tuple(found.files.plan.dataset["shape"]))
    return timed(row["variant"], row["role"], ((one.layer, one.ms) for one in kernels), layers)


_profiled = cache(profiler.layer_times)  # a model's file never changes


LESSON = Lesson(
    name="where-time-goes",
    order=7,
    title="Where does the time go?",
    icon=":material/timer:",
    question=(
        "Pruning sets **90 % of a student's weights to zero**. Nine of ten multiplications are then by zero. The file "
        "runs in ONNX Runtime in batches of 64.\n\n"
        "**How many times as fast as the student is it?** 1×: no faster."
    ),
    prediction=Number("Times as fast", "×", low=0.5, high=10, step=0.1, close=0.1),
    document=few_labels(
        200, 32,
        measure={"timing_seconds": 6},
        seeds=[0],
        sweep={
            "compress": [
                [{"step": "prune_unstructured", "ratio": 0.9, "finetune": {"steps": 100, "learning_rate": 0.005}}],
                [{"step": "prune_structured", "ratio": 0.5, "finetune": {"steps": 100, "learning_rate": 0.005}}],
            ]
        },
    ),
    measure=measure,
    explain=explain,
    formula=(
        r"\mathrm{MACs} = H \cdot W \cdot C_{in} \cdot C_{out} \cdot k^2 \qquad "
        r"t \ge \max \left( \frac{\mathrm{MACs}}{\text{arithmetic rate}}, \frac{\text{bytes}}{\text{bandwidth}} \right)"
    ),
    figures=figures,
    sources=(
        Source("Williams, Waterman and Patterson 2009", "Roofline: an insightful visual performance model",
               "https://doi.org/10.1145/1498765.1498785"),
        Source("Li et al. 2017", "Pruning Filters for Efficient ConvNets", "https://arxiv.org/abs/1608.08710"),
    ),
    next=Change("Quantize the student to int8 as well: fewer bytes to move, and faster arithmetic.",
                ('compress=[{"step": "int8"}]', "sweep={}")),
)  # fmt: skip
