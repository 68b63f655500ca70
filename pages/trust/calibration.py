"""Calibration on the page Trust: confidence against accuracy, before and after temperature scaling."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kdcore.figures.reliability import reliability
from kdcore.report import format
from pages.shared import charts, links
from pages.shared.text import plain
from pages.trust import variant_table
from pages.trust.models import Shown, again, shown

WHAT = "calibration"


def section(run_id: str, names: list[str]) -> None:
    """The diagram of one variant beside the numbers of all that were chosen."""
    st.caption(
        "Of the answers with 90 % confidence, 90 % should be correct. Temperature scaling divides all logits by one "
        "number, fitted on validation examples: predictions stay, confidence changes."
    )
    models = shown(run_id, names)
    scaled = [one for one in models if WHAT in one.quality]
    again(run_id, WHAT, [one.name for one in models if one.quality and WHAT not in one.quality])
    for one in models:
        if not one.quality:
            st.caption(f":material/info: {plain(one.name)}: a file of soft labels without test examples.")
    if not scaled:
        return
    left, right = st.columns([1, 1.4], gap="medium")
    with left, st.container(border=True):
        by_name = {one.name: one for one in scaled}
        usual = next((one.name for one in scaled if one.role == "distilled"), scaled[-1].name)
        chosen = by_name[links.one("Variant", list(by_name), "calibration", default=usual)]
        charts.show(reliability(chosen.name, chosen.role, chosen.quality), key="reliability")
    with right:
        _numbers(scaled)
        images = chosen.quality[WHAT]["validation"]
        st.caption(
            f"T is fitted on {format.plural(images, 'validation example')}; the rest is measured on the test examples."
        )
        _reasons(scaled)


def _reasons(scaled: list[Shown]) -> None:
    """Why some have no temperature."""
    reasons = {one.name: one.quality[WHAT]["reason"] for one in scaled if one.quality[WHAT]["reason"]}
    for reason in dict.fromkeys(reasons.values()):
        whose = ", ".join(name for name, own in reasons.items() if own == reason)
        st.caption(f":material/info: No temperature for {plain(whose)}: {plain(reason)}.")


def _numbers(scaled: list[Shown]) -> None:
    columns = {
        "temperature": [one.quality[WHAT]["temperature"] for one in scaled],
        "interval": [_interval(one.quality[WHAT]) for one in scaled],
        "ece": [100 * one.quality["ece"] for one in scaled],
        "ece_scaled": [100 * _scaled(one, "ece") for one in scaled],
        "nll": [one.quality["nll"] for one in scaled],
        "nll_scaled": [_scaled(one, "nll") for one in scaled],
    }
    number = st.column_config.NumberColumn
    config = {
        "temperature": number("T", format="%.2f", help="Maximum-likelihood temperature on validation. Above 1: "
                              "overconfident; below 1: underconfident."),
        "interval": st.column_config.TextColumn("95 %", help="By profile likelihood on the validation examples."),
        "ece": number("ECE (%)", format="%.1f", help="Expected calibration error as trained: mean difference of "
                      "confidence and accuracy, in 15 bins."),
        "ece_scaled": number("ECE at T (%)", format="%.1f", help="ECE (%) after temperature scaling."),
        "nll": number("NLL", format="%.3f", help="Negative log-likelihood of the label, nats per example."),
        "nll_scaled": number("NLL at T", format="%.3f", help="NLL after temperature scaling."),
    }  # fmt: skip
    variant_table.show([(one.role, one.name) for one in scaled], columns, config, alt="Calibration")


def _interval(quality: dict[str, Any]) -> str:
    low, high = quality["temperature_low"], quality["temperature_high"]
    return format.MISSING if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _scaled(one: Shown, name: str) -> float:
    found = one.quality[WHAT]["scaled"]
    return found[name] if found else float("nan")
