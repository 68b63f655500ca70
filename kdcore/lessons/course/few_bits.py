"""Lesson 6: weights of eight, four and two bits; rounded after training, with care, or trained with it."""

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

BITS = (2, 3, 4, 8)
STUDENT = "student distilled"
PLAIN = {"clip": "max", "per_channel": False, "recalibrate": False, "bias_correction": False}
STEPS = 100

Chain = list[dict[str, Any]]
ROUNDED: dict[int, Chain] = {bits: [{"step": "weight_quant", "bits": bits, **PLAIN}] for bits in BITS}
CAREFUL: Chain = [{"step": "weight_quant", "bits": 2}]
TRAINED: Chain = [{"step": "qat", "weight_bits": 2, "finetune": {"steps": STEPS, "learning_rate": 0.002}}]


def _row(found: Evidence, chain: Chain) -> Row:
    return found.at("quantized", {"compress": chain})


def measure(found: Evidence) -> Answer:
    rows = [_row(found, ROUNDED[bits]) for bits in BITS]
    value, low, high = (
        tuple(100 * row[name] for row in rows) for name in ("accuracy", "accuracy_low", "accuracy_high")
    )
    verdict = words.compared(
        found.between(rows[0]["variant"], STUDENT), f"rounded to {BITS[0]} bits the student", "before rounding"
    )
    return Answer(value, low, high, words.upper(verdict))


def explain(found: Evidence) -> str:
    plain, careful, trained = (_row(found, chain)["variant"] for chain in (ROUNDED[2], CAREFUL, TRAINED))
    care = words.compared(found.between(careful, plain), "the student with tuned rounding", "the plainly rounded one")
    training = words.compared(
        found.between(trained, careful), "the student trained with rounding", "the one with tuned rounding"
    )
    return (
        "b bits are 2ᵇ − 1 levels, a step s apart. A weight is off by at most s/2, so each bit less doubles the error: "
        "about 6 dB less signal to noise (SQNR). With two bits, three levels are left.\n\n"
        "**Tuned rounding** needs no training: a scale for each filter, clipping where the squared error is least, and "
        f"batch norm recalibrated. With two bits, {words.lower(care)}\n\n"
        "**Quantization-aware training** (QAT) rounds in every step and passes the gradient straight through. With two "
        f"bits, {words.lower(training)}\n\n"
        "Round a layer of this student yourself: which layer is the most sensitive?"
    )


def table(found: Evidence) -> str:
    ways = {
        "Not rounded": found.row(STUDENT),
        "Rounded, one scale per layer": _row(found, ROUNDED[2]),
        "Tuned rounding": _row(found, CAREFUL),
        "Trained with rounding": _row(found, TRAINED),
    }
    lines = ["| Two bits per weight | Test accuracy | File |", "| --- " * 3 + "|"]
    for name, row in ways.items():
        lines.append(f"| {name} | {format.percent(row['accuracy'])} | {format.size(row['size_bytes'])} |")
    return "\n".join(lines)


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    return (against_size(found.rows),)


LESSON = Lesson(
    name="few-bits",
    order=6,
    title="Eight bits, four bits, two",
    icon=":material/grid_on:",
    question=(
        "A student's weights are **rounded after training**, with one scale for each layer. The first and the last "
        "layer keep 8 bits. Nothing is trained again.\n\n**What test accuracy is left with 8, 4, 3 and 2 bits per "
        "weight?**"
    ),
    prediction=Curve(
        "Test accuracy", "{} bits", "Bits per weight", tuple(map(float, BITS)), "%", low=0, high=100, step=5, close=8
    ),
    document=few_labels(
        200, 16,
        compress_seeds="all",
        measure={"timing_seconds": 0},
        seeds=[0, 1, 2],
        sweep={"compress": [*ROUNDED.values(), CAREFUL, TRAINED]},
    ),
    measure=measure,
    explain=explain,
    table=table,
    formula=(
        r"\hat w = s \cdot \lfloor w / s \rceil, \quad s = \frac{\max | w |}{2^{b-1} - 1} \qquad "
        r"\mathrm{SQNR} = 10 \log_{10} \frac{\sum w^2}{\sum (w - \hat w)^2}"
    ),
    figures=figures,
    sources=(
        Source("Krishnamoorthi 2018", "Quantizing deep convolutional networks for efficient inference",
               "https://arxiv.org/abs/1806.08342"),
        Source("Bengio, Léonard and Courville 2013", "Estimating or Propagating Gradients Through Stochastic Neurons",
               "https://arxiv.org/abs/1308.3432"),
    ),
    next=Change("Round the first and the last layer to two bits as well. How much depends on them?",
                ('compress=[{"step": "weight_quant", "bits": 2, "first_and_last": 2}]', "sweep={}")),
    hands_on="rounding",
)  # fmt: skip
