"""Lesson 9: what one accuracy does not tell: classes, corrupted images, confidence."""

from __future__ import annotations

import plotly.graph_objects as go

from kdcore.figures.class_changes import class_changes as draw_changes
from kdcore.figures.robustness import falls
from kdcore.lessons.evidence import Evidence, Row, missing
from kdcore.lessons.lesson import Change as Next
from kdcore.lessons.lesson import Lesson, Source
from kdcore.lessons.predictions import Answer, Number
from kdcore.lessons.small import few_labels
from kdcore.report import format, robustness
from kdcore.report.class_changes import Change, class_changes
from kdcore.report.robustness import Against, Robust
from kdcore.report.statistics import Paired

STUDENT, SMALL = "student distilled", "int8"


def _robust(found: Evidence) -> dict[str, Robust]:
    return {one.variant: one for one in robustness.measured(found.workspace, found.run_id)}


def _against(found: Evidence) -> Against:
    known = _robust(found)
    if {STUDENT, SMALL} <= known.keys() and (compared := robustness.against(known[SMALL], known[STUDENT])):
        return compared
    return missing("accuracy on corrupted images")


def _points(one: Paired) -> tuple[float, float, float]:
    low, high = (one.value if bound is None else bound for bound in (one.low, one.high))
    return 100 * one.value, 100 * low, 100 * high


def _change(one: Paired) -> str:
    value, low, high = _points(one)
    return f"{format.points(value)} (95 % interval {format.signed(low)} to {format.signed(high)})"


def _changes(found: Evidence) -> list[Change]:
    """Recall by class, of the small file against the student's."""
    first = {one.name: one.first for one in found.files.variants}
    labels, classes = found.files.labels, found.files.plan.dataset["classes"]
    if labels is None or not {STUDENT, SMALL} <= first.keys():
        return missing("test labels")
    return class_changes(first[SMALL].answers, first[STUDENT].answers, labels, classes)


def measure(found: Evidence) -> Answer:
    compared = _against(found)
    value, low, high = _points(compared.corrupted)
    return Answer(
        value, low, high,
        f"Accuracy on corrupted images changes by {_change(compared.corrupted)}, on clean images by "
        f"{_change(compared.clean)}.",
    )  # fmt: skip


def explain(found: Evidence) -> str:
    before, after, compared = found.row(STUDENT), found.row(SMALL), _against(found)
    return (
        f"The file shrinks from {format.size(before['size_bytes'])} to {format.size(after['size_bytes'])}, and test "
        f"accuracy goes from {format.percent(before['accuracy'])} to {format.percent(after['accuracy'])}. One number "
        "hides three things.\n\n"
        f"**Corrupted images** (noise, blur, low contrast, pixelation, JPEG): from "
        f"{format.percent(before['corrupted_accuracy'])} to {format.percent(after['corrupted_accuracy'])}. "
        f"{_beyond(compared.beyond)}\n\n"
        f"**Classes.** {_classes(_changes(found))} An average over classes hides such a change, above all for a rare "
        f"class.\n\n**Confidence.** {_confidence(before, after)}"
    )


def _beyond(one: Paired) -> str:
    value, low, high = _points(one)
    interval = f"{format.points(value)}, 95 % interval {format.signed(low)} to {format.signed(high)}"
    if high < 0:
        return f"That is more than on clean images ({interval}): the small file is also less robust."
    if low > 0:
        return f"That is less than on clean images ({interval}): corruption already had taken what compression takes."
    return f"That is no significantly different change from the one on clean images ({interval})."


def _classes(changes: list[Change]) -> str:
    worst = min(changes, key=lambda one: one.points)
    lost = [one for one in changes if one.high < 0]
    most = (
        f"Class {worst.name} changes most, by {format.points(worst.points)} of recall ({format.signed(worst.low)} to "
        f"{format.signed(worst.high)} after correction for {len(changes)} classes)."
    )
    many = f"{len(lost)} of {len(changes)} classes lose significantly." if lost else "No class loses significantly."
    return f"{most} {many}"


def _confidence(before: Row, after: Row) -> str:
    kinds = ["overconfident" if row["temperature"] > 1 else "underconfident" for row in (before, after)]
    return (
        f"The calibration error (ECE) goes from {format.percent(before['ece'])} ({kinds[0]}) to "
        f"{format.percent(after['ece'])} ({kinds[1]}). Dividing the logits by the temperature that fits validation "
        f"best leaves {format.percent(after['ece_scaled'])}."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    known = _robust(found)
    shown = [known[name] for name in (STUDENT, SMALL) if name in known]
    return falls(shown), draw_changes(_changes(found), SMALL, "quantized", STUDENT)


LESSON = Lesson(
    name="what-it-forgets",
    order=9,
    title="What compression forgets",
    icon=":material/psychology_alt:",
    question=(
        "A student loses **half of its filters** and is quantized to **int8**. Both files then classify the test "
        "images, clean and **corrupted**: noise, blur, low contrast, pixelation, JPEG, each at five severities.\n\n"
        "**By how many points does accuracy on the corrupted images change?**"
    ),
    prediction=Number("Accuracy on corrupted images changes by", "points", low=-30, high=10, step=0.5, close=1),
    document=few_labels(
        200, 32,
        compress=[
            {"step": "prune_structured", "ratio": 0.5, "finetune": {"steps": 100, "learning_rate": 0.005}},
            {"step": "int8"},
        ],
        measure={"timing_seconds": 0, "robustness": True},
        seeds=[0],
    ),
    measure=measure,
    explain=explain,
    formula=(
        r"\mathrm{ECE} = \sum_m \frac{n_m}{n} | \mathrm{accuracy}_m - \mathrm{confidence}_m | \qquad "
        r"\mathrm{recall}_c = \frac{\text{images of class c that are recognised}}{\text{images of class c}}"
    ),
    figures=figures,
    sources=(
        Source("Hooker et al. 2019", "What Do Compressed Deep Neural Networks Forget?", "https://arxiv.org/abs/1911.05248"),
        Source("Hendrycks and Dietterich 2019", "Benchmarking Neural Network Robustness to Common Corruptions",
               "https://arxiv.org/abs/1903.12261"),
    ),
    next=Next("Prune three quarters of the filters. Which class is forgotten first?", ("compress.0.ratio=0.75",)),
)  # fmt: skip
