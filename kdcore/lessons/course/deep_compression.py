"""Lesson 8: prune, share, code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from kdcore.figures.waterfall import chain, waterfall
from kdcore.lessons import words
from kdcore.lessons.evidence import Evidence
from kdcore.lessons.lesson import Change, Lesson, Source
from kdcore.lessons.predictions import Answer, Number
from kdcore.report import format


def _ends(found: Evidence) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The student as it was distilled, and at the end of the chain."""
    whole = chain(found.rows)
    return whole[0], whole[-1]


def measure(found: Evidence) -> Answer:
    before, after = _ends(found)
    ratio = before["size_bytes"] / after["coded_bytes"]
    verdict = (
        f"{format.size(before['size_bytes'])} become {format.size(after['coded_bytes'])}, and test accuracy goes from "
        f"{format.percent(before['accuracy'])} to {format.percent(after['accuracy'])}."
    )
    return Answer(float(ratio), verdict=verdict)


def explain(found: Evidence) -> str:
    after = _ends(found)[1]
    stored = found.reports(after["variant"])[0]["step"]
    sizes = {name: sum(row[name] for row in stored) for name in ("sparse_bytes", "shared_bytes", "coded_bytes")}
    pruned = next(row for row in chain(found.rows) if row["role"] == "pruned")
    cost = words.compared(found.verdict(pruned["variant"], pruned["parent"]), "the pruned student", "the one before")
    return (
        f"**Prune.** {format.percent(after['sparsity'])} of the weights are zero. Storing only the others, with the "
        f"distance from one to the next, takes {format.size(sizes['sparse_bytes'])}.\n\n"
        f"**Share.** The remaining weights of each layer take few values (k-means). A weight becomes the number of its "
        f"value: {format.size(sizes['shared_bytes'])} with the table of values.\n\n"
        f"**Code.** Frequent numbers get short Huffman codes: {format.size(sizes['coded_bytes'])}. This step loses "
        "nothing: the decoded weights are the same.\n\n"
        f"What pruning costs: {words.lower(cost)}\n\n"
        f"**Storage only.** The file that runs still has {format.size(after['size_bytes'])}, and the processor "
        "multiplies by the zeros all the same. Coding saves download and flash memory, not time."
    )


def figures(found: Evidence) -> tuple[go.Figure, ...]:
    rows = chain(found.rows)
    drawn = waterfall(rows, found.reports(rows[-1]["variant"])[0]["step"])
    return (drawn,) if drawn else ()


LESSON = Lesson(
    name="deep-compression",
    order=8,
    title="Deep Compression",
    icon=":material/compress:",
    question=(
        "A distilled student is stored in three steps: **prune** 90 % of its weights, let the others **share** 16 "
        "values a layer, and **code** the result with Huffman's code. Its accuracy must hardly change.\n\n"
        "**How many times fewer bytes does it take in the end?**"
    ),
    prediction=Number("Times fewer bytes", "×", low=1, high=50, step=1, close=3),
    preset="deep-compression",
    measure=measure,
    explain=explain,
    formula=(
        r"\text{bytes} \approx \frac{1}{8} ( n H(\text{values}) + n H(\text{distances}) ) + 4 \cdot 2^b, \qquad "
        r"H = - \sum_i p_i \log_2 p_i"
    ),
    figures=figures,
    sources=(
        Source("Han, Mao and Dally 2016", "Deep Compression", "https://arxiv.org/abs/1510.00149"),
    ),
    next=Change("Share 4 values a layer (2 bits) instead of 16. How many bytes, and how many points?",
                ("compress.1.bits=2",)),
)  # fmt: skip
