"""Privacy on the page Trust: membership inference from a model's losses."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kdcore.figures.membership import leaks
from kdcore.report.membership import UNMEASURED, Membership, beside, verdict
from pages.shared import charts
from pages.shared.text import plain
from pages.trust import variant_table
from pages.trust.models import again, marked, memberships


def section(run_id: str, names: list[str]) -> None:
    """The attack's success by variant, and what it means in words."""
    st.caption(
        "Membership inference by a loss threshold: an attacker guesses that examples with a low loss were used for "
        "training. AUC: how often a member (a labelled example of the student) has a lower loss than a non-member (a "
        "test example); 0.5 is the chance level."
    )
    found = memberships(run_id, names)
    again(run_id, "membership", [one.variant for one in found if one.reason == UNMEASURED])
    found = [one for one in found if one.reason != UNMEASURED]
    if not found:
        return
    known = [one for one in found if one.auc is not None]
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        charts.show(leaks(known), key="leaks")
    with right:
        for one in found:
            sentences = ". ".join(filter(None, (verdict(one), beside(one))))
            st.markdown(f"{_icon(one)} {marked(one.variant, one.role)}: {plain(sentences)}.")
    apart = [one.variant for one in known if not one.shared]
    if apart and len(apart) < len(known):
        st.caption(
            f":material/info: {plain(', '.join(apart))}: measured on its own training examples, since its record does "
            "not hold the student's."
        )
    with st.expander("Counts and best threshold", type="compact"):
        _numbers(known)


def _icon(one: Membership) -> str:
    if one.auc is None:
        return ":gray[:material/question_mark:]"
    return ":orange[:material/key:]" if (one.low or 0) > 0.5 else ":green[:material/lock:]"


def _numbers(known: list[Membership]) -> None:
    columns: dict[str, list[Any]] = {
        "auc": [one.auc for one in known],
        "low": [one.low for one in known],
        "high": [one.high for one in known],
        "members": [one.members for one in known],
        "others": [one.others for one in known],
        "advantage": [None if one.advantage is None else 100 * one.advantage for one in known],
        "found": [None if one.found_at_1 is None else 100 * one.found_at_1 for one in known],
    }
    number = st.column_config.NumberColumn
    config = {
        "auc": number("AUC", format="%.3f", help="0.5: no better than chance; 1: every member is found."),
        "low": number("from", format="%.3f", help="95 % interval over the examples (DeLong)."),
        "high": number("to", format="%.3f", help="95 % interval over the examples (DeLong)."),
        "members": number("Members", format="localized"),
        "others": number("Non-members", format="localized"),
        "advantage": number("Advantage (points)", format="%.1f", help="TPR - FPR at the best threshold, which is "
                            "chosen on the same examples, so it is above 0 even at chance level."),
        "found": number("TPR at 1 % FPR (%)", format="%.1f", help="Members found where 1 % of the non-members "
                        "count as members."),
    }  # fmt: skip
    variant_table.show([(one.role, one.variant) for one in known], columns, config, alt="Membership inference")
