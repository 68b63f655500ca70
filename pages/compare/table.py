"""The comparison as a table: what was measured, and the difference to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from kdcore.report import format
from kdcore.report.comparison import AT_LENGTHS, BATCH, COLUMNS, Difference
from kdcore.report.verdicts import the
from pages.shared import roles
from pages.shared.text import plain

Row = dict[str, Any]
NUMBER, TEXT = st.column_config.NumberColumn, st.column_config.TextColumn
KEY = "compare_table"
CLICKED = "compare_clicked"  # in the session: run and variant of the point that was clicked last
LETTER = 7  # pixels
OPENVINO = ("openvino_ms", "openvino", "openvino_agreement")
GPU = {"cuda_eager_ms": "eager", "cuda_graph_ms": "CUDA graph", "cuda_compiled_ms": "compiled"}
TRUST = (  # shown on request
    "ece", "temperature", "ece_scaled", "kl", "logit_error", "corrupted", "membership", "membership_interval",
)  # fmt: skip


def show(rows: list[Row], against: Sequence[Difference], baseline: Row, names: Mapping[str, str]) -> None:
    """The table; a selected row offers to look inside that variant."""
    with st.container(horizontal=True):
        trust = st.toggle(
            "Show reliability columns", key="trust_columns", persist_state="session",
            help="Calibration, fidelity, robustness and membership inference; the page Trust has the details.",
        )  # fmt: skip
        every = st.toggle("Show all columns", key="all_columns", persist_state="session")
    if every:
        st.dataframe(pd.DataFrame(rows, columns=list(COLUMNS)), hide_index=True, alt="Every column of the comparison")
        return
    table = _frame(rows, against, names)
    table.loc[rows.index(baseline), ["faster", "throughput"]] = "baseline"
    shown = [name for name in table if (trust or name not in TRUST) and _worth(name, table, names)]
    event = st.dataframe(
        roles.dotted(table[shown], [row["role"] for row in rows]),
        key=KEY,
        column_config=_columns(baseline["variant"], rows),
        hide_index=True,
        height="content",
        on_select="rerun",
        selection_mode="single-row",
        placeholder="–",
        alt="The comparison, one row per variant",
    )
    for index in event.selection.rows:
        if index < len(rows) and _key(rows[index]) != st.session_state.get(CLICKED):
            _inside(rows[index])


def select(rows: list[Row], point: list[str] | None) -> None:
    """Selects the row of the point that was clicked in a chart: its run and variant."""
    if not point:
        return
    st.session_state[CLICKED] = run, variant = tuple(point[:2])
    place = next(index for index, row in enumerate(rows) if _key(row) == (run, variant))
    st.session_state[KEY] = {"selection": {"rows": [place], "columns": [], "cells": []}}


def picked(rows: list[Row]) -> None:
    """Offers, below the charts, to look inside the variant whose point was clicked, while its row is selected."""
    chosen = st.session_state.get(KEY, {}).get("selection", {}).get("rows", [])
    for index in chosen:
        if index < len(rows) and _key(rows[index]) == st.session_state.get(CLICKED):
            _inside(rows[index])


def _key(row: Row) -> tuple[str, str]:
    return row["run"], row["variant"]


def _worth(name: str, table: pd.DataFrame, names: Mapping[str, str]) -> bool:
    """Whether a column has something to show: the run, mAP and the times on a GPU or in OpenVINO often have nothing."""
    if name in OPENVINO:
        return bool(table["openvino_ms"].notna().any())
    often_empty = (*AT_LENGTHS, *GPU, "map", "bits", "bits_interval", "points", "bits_change")
    return len(names) > 1 if name == "run" else name not in often_empty or bool(table[name].notna().any())


def _inside(row: Row) -> None:
    where = {"run": row["run"], "variant": row["variant"]}
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{roles.mark(row['role'])} **{plain(row['variant'])}**", width="content")
        if st.button("Open in Layers", key="to_layers", icon=":material/layers:"):
            st.switch_page("layers/page.py", query_params=where)
        if st.button("Open in Trust", key="to_trust", icon=":material/verified_user:"):
            st.switch_page("trust/page.py", query_params=where | {"calibration": row["variant"]})
        if st.button("Try it", key="to_try", icon=":material/draw:"):
            st.switch_page("try_it/page.py", query_params=where)
        if st.button("Open in Soft targets", key="to_soft", icon=":material/thermostat:"):
            st.switch_page("soft_targets/page.py", query_params=where)


def _frame(rows: Sequence[Row], against: Sequence[Difference], names: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "mark": [roles.symbol(row["role"]) for row in rows],
            "run": [names[row["run"]] for row in rows],
            "variant": [row["variant"] for row in rows],
            "accuracy": [_percent(row["accuracy"]) for row in rows],
            "bits": [row["bits"] for row in rows],
            "bits_interval": [format.bits_bounds(row["bits_low"], row["bits_high"]) or None for row in rows],
            "map": [None if row["map"] is None else 100 * row["map"] for row in rows],
            "interval": [_interval(row) for row in rows],
            "verdict": [row["judged"] for row in rows],
            "size": [row["size_bytes"] / 1000 if row["size_bytes"] else None for row in rows],
            "smaller": [one.smaller for one in against],
            "points": [one.points for one in against],
            "bits_change": [one.bits for one in against],
            "latency": [row["latency_ms"] for row in rows],
            **{name: [row[name] for row in rows] for name in (*AT_LENGTHS, *GPU)},
            "faster": [_speed(one.faster) for one in against],
            "rate": [row["images_per_s"] for row in rows],
            "throughput": [_speed(one.throughput) for one in against],
            "openvino_ms": [row["openvino_ms"] for row in rows],
            "openvino": [_speed(one.openvino) for one in against],
            "openvino_agreement": [_percent(row["openvino_agreement"]) for row in rows],
            "params": [row["params"] for row in rows],
            "zeros": [_percent(row["sparsity"]) for row in rows],
            "agreement": [_percent(row["agreement"]) for row in rows],
            "ece": [_percent(row["ece"]) for row in rows],
            "temperature": [row["temperature"] for row in rows],
            "ece_scaled": [_percent(row["ece_scaled"]) for row in rows],
            "kl": [row["kl"] for row in rows],
            "logit_error": [_percent(row["logit_error"]) for row in rows],
            "corrupted": [_percent(row["corrupted_accuracy"]) for row in rows],
            "membership": [row["membership_auc"] for row in rows],
            "membership_interval": [_auc_interval(row) for row in rows],
            "seeds": [row["seeds"] for row in rows],
        }
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _interval(row: Row) -> str:
    low, high = _percent(row["score_low"]), _percent(row["score_high"])
    return format.MISSING if low is None or high is None else f"{low:.1f} to {high:.1f}"


def _auc_interval(row: Row) -> str:
    low, high = row["membership_low"], row["membership_high"]
    return format.MISSING if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _speed(found: Any) -> str:
    return format.MISSING if found is None else format.times(found.value) if found.differs else "within noise"


def _wide(rows: Sequence[Row], name: str) -> int:
    """Pixels of a column of texts; left alone the table makes room for those of the first rows only."""
    return max(120, 24 + LETTER * max(len(row[name]) for row in rows))


def _columns(baseline: str, rows: Sequence[Row]) -> dict[str, Any]:
    """By the names of `_frame`, which gives their order."""
    return _quality(baseline, rows) | _costs(baseline) | _reliability()


def _than(baseline: str) -> str:
    return f"Relative to the baseline, {baseline}."


def _quality(baseline: str, rows: Sequence[Row]) -> dict[str, Any]:
    than = _than(baseline)
    return {
        "mark": TEXT("", width=24),
        "run": TEXT("Run", width="medium"),
        "variant": TEXT("Variant", width=_wide(rows, "variant")),
        "accuracy": NUMBER("Test accuracy (%)", format="%.1f", help="Mean over the seeds."),
        "bits": NUMBER("Bits/character", format="%.3f", help="Per character of the text, also where networks read "
                       "tokens of several; mean over the seeds. Lower is better, and verdicts compare it."),
        "bits_interval": TEXT("Bits, 95 %", help="Over the seeds, or over the test documents for one seed."),
        "map": NUMBER("mAP (%)", format="%.1f", help="Mean average precision over the classes; mean over the seeds."),
        "interval": TEXT("95 % interval", help="Of test accuracy, or of mAP for several labels: over the seeds, or "
                         "over the test examples for one seed. Cut at 0 and 100 %."),
        "verdict": TEXT(
            "Verdict", width=_wide(rows, "judged"),
            help="On accuracy, against the reference that it names: for students the student alone, for compressed "
            "variants their parent, whatever the baseline.",
        ),
        "points": NUMBER(
            f"Points against {the(baseline)}", format="%+.1f",
            help=f"Difference of test accuracy, or of mAP for several labels. {than}",
        ),
        "bits_change": NUMBER(
            f"Bits/character against {the(baseline)}", format="%+.3f",
            help=f"Less than zero is better. {than}",
        ),
        "seeds": NUMBER("Seeds", format="%d"),
    }  # fmt: skip


def _costs(baseline: str) -> dict[str, Any]:
    than = _than(baseline)
    return {
        "size": NUMBER("Size (kB)", format="%.1f", help="Of the deployed ONNX file."),
        "smaller": NUMBER("Smaller", format="%.1f×", help=than),
        "latency": NUMBER("Latency, batch 1 (ms)", format="%.4g", help="CPU time of one thread for an example, median; "
                          "what it takes with a core to itself."),
        **{
            name: NUMBER(f"Latency, {tokens} tokens (ms)", format="%.4g", help=f"Like batch 1, for texts of "
                         f"{tokens} tokens; batch 1 uses the data's median length.")
            for name, tokens in AT_LENGTHS.items()
        },
        **{
            name: NUMBER(f"GPU, {mode}, batch 1 (ms)", format="%.4g", help="Median on the GPU, fp32, CUDA events.")
            for name, mode in GPU.items()
        },
        "faster": TEXT("Speed-up, batch 1", help=f"Ratio of latencies. Within noise: no measurable difference. {than}"),
        "rate": NUMBER(f"Examples/s, batch {BATCH}", format="%d", help="Throughput of one thread, by CPU time."),
        "throughput": TEXT(f"Speed-up, batch {BATCH}", help=f"Ratio of throughputs. Within noise: no measurable "
                           f"difference. {than}"),
        "openvino_ms": NUMBER("OpenVINO, batch 1 (ms)", format="%.4g", help="Latency of the same file in OpenVINO: CPU "
                              "time of one thread, in the same session."),
        "openvino": TEXT("Speed-up in OpenVINO, batch 1", help=f"In OpenVINO, relative to the baseline, {baseline}, in "
                         "ONNX Runtime."),
        "openvino_agreement": NUMBER("Agreement in OpenVINO (%)", format="%.1f", help="Test examples with the same "
                                     "predicted class as in ONNX Runtime."),
        "params": NUMBER("Parameters", format="localized"),
        "zeros": NUMBER("Zeros (%)", format="%.1f", help="Share of the weights in the deployed file that are zero."),
    }  # fmt: skip


def _reliability() -> dict[str, Any]:
    return {
        "agreement": NUMBER("Agreement (%)", format="%.1f", help="Test examples with the teacher's predicted class."),
        "ece": NUMBER("ECE (%)", format="%.1f", help="Expected calibration error: mean difference of confidence and "
                      "accuracy; mean over the seeds."),
        "temperature": NUMBER("T", format="%.2f", help="Temperature that calibrates it best, fitted on validation; "
                              "mean over the seeds."),
        "ece_scaled": NUMBER("ECE at T (%)", format="%.1f", help="ECE with the logits divided by that temperature."),
        "kl": NUMBER("KL (nats)", format="%.4f", help="Mean KL(teacher ‖ variant) over the test examples."),
        "logit_error": NUMBER("Logit error (%)", format="%.1f", help="RMS difference from the teacher's logits, "
                              "relative to their RMS."),
        "corrupted": NUMBER("Corrupted (%)", format="%.1f", help="Test accuracy on corrupted inputs, where measured."),
        "membership": NUMBER("Membership AUC", format="%.2f", help="How well a loss threshold distinguishes training "
                             "from test examples; 0.5: chance level."),
        "membership_interval": TEXT("AUC, 95 %", help="Over the examples (DeLong)."),
    }  # fmt: skip
