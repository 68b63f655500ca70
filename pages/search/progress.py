"""How far a search is: the limits, the candidates so far as a chart and as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from kdcore.figures.search import against_size
from kdcore.report import format
from kdcore.search.judging import asked, counted, fits
from kdcore.search.request import Search, parse
from kdcore.search.wording import apart
from kdcore.workspace.shapes import SearchFound
from pages.shared import charts, roles, store
from pages.shared.text import plain

PER_EXAMPLE = "Time per example, batch 64"
STATES = {
    "trained": "trained",
    "stopped": "stopped early",
    "beyond": "not trained: beyond a limit",
    "failed": "not possible",
}


def search_of(folder: Path) -> Search:
    """What was asked for."""
    return parse(store.document(folder / "recipe.json")["search"])


def show(folder: Path, found: SearchFound | None) -> None:
    search = search_of(folder)
    said = asked(search) or "no limits"
    st.markdown(f":material/straighten: {plain(said[:1].upper() + said[1:])}.")
    if not found or not found["target"]:
        st.caption("The chart appears with the first candidate; teacher and student are trained before that.")
        return
    trained = [trial for trial in found["trials"] if trial["state"] == "trained"]
    st.caption(
        f"{counted(found, of=found['target'])}. Accuracy is on validation examples; test examples are only used at the "
        "end."
    )
    if trained:
        charts.show(against_size(found, search.limits_of_trials), key="candidates")
    if found["trials"]:
        with st.expander("All candidates", icon=":material/table_rows:"):
            st.dataframe(_table(found, search.limits_of_trials), hide_index=True)


def _table(found: SearchFound, limits: dict[str, float]) -> pd.DataFrame:
    """What is known of each candidate, the most accurate first; a column that would be empty is left out."""
    rows = sorted(found["trials"], key=lambda trial: (-trial.get("accuracy", -1.0), trial.get("size_bytes") or 0))
    lines = [_line(row, limits, options) for row, options in zip(rows, apart(rows), strict=True)]
    filled = [name for name in lines[0] if any(line[name] not in ("", format.MISSING) for line in lines)]
    return pd.DataFrame(lines)[filled]


def _line(row: Any, limits: dict[str, float], options: str) -> dict[str, Any]:
    state = STATES[row["state"]]
    if row["state"] == "trained":
        state = "within the limits" if fits(row, limits) else "outside the limits"
    return {
        "Trial": row["number"],
        "Candidate": f"{roles.symbol(row.get('role', ''))} {row['label']}",
        "Validation accuracy": format.percent(row.get("accuracy")),
        "Size": format.size(row.get("size_bytes")),
        **({"Coded size": format.size(row.get("coded_bytes"))} if "coded_bytes" in limits else {}),
        "Latency, batch 1": format.milliseconds(row.get("latency_ms")),
        PER_EXAMPLE: format.milliseconds(row.get("batch_ms")),
        "State": state,
        "Other options": options,
        "Why": row.get("why", ""),
        "Parameters": format.count(row.get("params")),
        "Time": format.duration(row["seconds"]) if "seconds" in row else "",
    }
