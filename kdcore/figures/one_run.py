"""All charts of a single run: many methods, sweeps with the recall of a hidden class, bytes step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from kdcore.figures.methods import methods
from kdcore.figures.recall import RecallPoint, recall
from kdcore.figures.sweep import sweep
from kdcore.figures.waterfall import chain, waterfall
from kdcore.report.verdicts import Verdict
from kdcore.workspace.plans import Plan

Row = Mapping[str, Any]
Report = Callable[[str], Mapping[str, Any] | None]  # of a finished model, by key
MANY_METHODS = 4  # from so many on, points in the cost charts share a column
TEMPERATURE = "distill.temperature"


def one_run(
    rows: Sequence[Row], plan: Plan, verdicts: Sequence[Verdict], report: Report, first: str = ""
) -> dict[str, go.Figure]:
    """The charts by name, in the order in which they are shown; those that would be empty are left out.

    `rows` are the run's in the comparison. A name begins with the kind: methods, sweep, recall, waterfall. `first`: how
    the name of the chart begins that comes first.
    """
    found = _methods(plan, verdicts)
    paths = {path: None for row in rows for path, value in row["values"].items() if isinstance(value, int | float)}
    found |= {f"sweep_{path}": sweep(rows, path) for path in paths}
    if TEMPERATURE in paths:
        found |= {f"recall_{name}": recall(_recalled(plan, name, report), name) for name in plan.dataset["hidden"]}
    if rows and (steps := waterfall(chain(rows), _stored(rows[-1], report))):
        found["waterfall"] = steps
    return dict(sorted(found.items(), key=lambda item: not leads(item[0], first)))


def leads(name: str, first: str) -> bool:
    """Whether this chart comes before accuracy against cost."""
    return bool(first) and name.startswith(first)


def _methods(plan: Plan, verdicts: Sequence[Verdict]) -> dict[str, go.Figure]:
    """All methods that are compared with one student alone, where they are many."""
    roles = {variant.name: variant.role for variant in plan.variants}
    judged = [one for one in verdicts if roles.get(one.against) == "alone"]
    return {
        f"methods_{against}": methods(judged, roles, against)
        for against in dict.fromkeys(one.against for one in judged)
        if sum(one.against == against for one in judged) >= MANY_METHODS
    }


def _stored(row: Row, report: Report) -> Sequence[Row]:
    """What the row's coded file holds; empty where it has none."""
    found = report(row["model_key"]) if row["coded_bytes"] else None
    return found["step"] if found else []


def _recalled(plan: Plan, hidden: str, report: Report) -> list[RecallPoint]:
    """Recall of the hidden class by every distilled student of the run."""
    found = []
    for variant in plan.variants:
        if variant.role != "distilled" or TEMPERATURE not in variant.values:
            continue
        for known in filter(None, map(report, variant.keys)):
            one = next((row for row in known["quality"]["hidden"] if row["class"] == hidden), None)
            if one:
                found.append(RecallPoint(float(variant.values[TEMPERATURE]), one["recall"], one["recall_corrected"]))
    return found
