"""Verdicts in words, with the mark of the variant that each concerns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from kdcore.report import comparison
from kdcore.report.verdicts import Verdict, own, scope, shares
from kdcore.workspace.workspace import Workspace
from pages.shared import roles, store
from pages.shared.text import plain

FEW = 3  # verdicts beside a variant's own that are shown unfolded
ICONS = {
    "BEATS": ":green[:material/trending_up:]",
    "WORSE": ":red[:material/trending_down:]",
    "SAME": ":gray[:material/drag_handle:]",
    "INCONCLUSIVE": ":gray[:material/question_mark:]",
}


def show(run_ids: list[str], names: Mapping[str, str]) -> None:
    """The verdicts of each run, and what they hold for. Where a baseline has many, only its own are unfolded."""
    for run_id in run_ids:
        if len(run_ids) > 1:
            st.subheader(plain(names[run_id]), anchor=False)
        role = {variant.name: variant.role for variant in store.plan(run_id).variants}
        judged = of(run_id)
        first = [verdict for verdict in judged if verdict in own(judged).values()]
        rest = [verdict for verdict in judged if verdict not in first]
        _lines(first, role)
        if len(rest) > FEW:
            against = " and ".join(dict.fromkeys(verdict.against for verdict in rest))
            with st.expander(f"{len(rest)} more, against {plain(against)}", type="compact"):
                _lines(rest, role)
        else:
            _lines(rest, role)
        if not judged:
            st.caption("This run has no baseline.")
        dataset = store.plan(run_id).dataset
        st.caption(f"{scope(dataset)} {shares(dataset)}")


def of(run_id: str) -> list[Verdict]:
    """All verdicts of a run."""
    return _verdicts(str(store.workspace().root), run_id, _identity(run_id))


def _lines(verdicts: Sequence[Verdict], role: Mapping[str, str]) -> None:
    if verdicts:
        st.markdown("\n\n".join(_line(verdict, role[verdict.variant]) for verdict in verdicts))


def _line(verdict: Verdict, role: str) -> str:
    few = f" Only {verdict.n} seeds." if verdict.few and verdict.n > 1 else ""
    return f"{ICONS[verdict.verdict]} {roles.mark(role)} **{plain(verdict.variant)}**: {plain(verdict.words)}.{few}"


def _identity(run_id: str) -> Any:
    folder = store.workspace().runs / run_id
    return tuple(store.identity(folder / name) for name in ("events.jsonl", "result.json"))


@st.cache_data(max_entries=200, show_spinner=False)
def _verdicts(root: str, run_id: str, identity: Any) -> list[Verdict]:
    return comparison.verdicts(Workspace(root), run_id)
