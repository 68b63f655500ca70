"""A run, or several beside each other, as one HTML page that opens offline and asks nothing of the network."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go

from kdcore.figures.curves import curves
from kdcore.figures.frontier import against_latency, against_size
from kdcore.figures.offline import drawn, page
from kdcore.figures.one_run import leads, one_run
from kdcore.figures.points import Baseline, Terms
from kdcore.files import read_json
from kdcore.presets import first_chart
from kdcore.report import comparison, differences, format
from kdcore.report.columns import run_names
from kdcore.report.comparison import Difference
from kdcore.report.reading import RunFiles
from kdcore.report.verdicts import Verdict, scope, shares
from kdcore.workspace import shapes
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace

Row = comparison.Row
TEMPLATE = Path(__file__).with_name("report.html")
WORDS = ("Run", "Variant")  # columns that hold no numbers
SHORT, NARROW = 14, "\N{NO-BREAK SPACE}"  # letters of a cell that stays on one line


def report_page(workspace: Workspace, run_ids: Sequence[str], baseline: Row | None = None) -> bytes:
    """The content of the page, text in UTF-8: figures, table, verdicts, what differs, recipes, environment.

    `baseline`: the row of `report.comparison.rows` that sizes and speeds are compared with; the first one without it.
    Raises UnknownRun and Damaged, and ValueError where no variant of the runs is finished.
    """
    chosen = list(dict.fromkeys(run_ids))
    runs = [RunFiles(workspace, run_id) for run_id in chosen]
    names = run_names(workspace, [run.id for run in runs])
    rows = comparison.rows(workspace, chosen)
    if not rows:
        raise ValueError("no variant of these runs is finished")
    first = baseline or rows[0]
    compared = Baseline(first, comparison.differences(workspace, rows, first))
    return page(
        TEMPLATE,
        title=" and ".join(names.values()),
        when=time.strftime("%d %B %Y, %H:%M"),
        damages=comparison.damages(workspace, chosen),
        table=_table(rows, compared, names),
        baseline=f"{names[first['run']]}, {first['variant']}" if len(runs) > 1 else first["variant"],
        apart=list(dict.fromkeys(row["latency_note"] for row in rows if row["latency_note"])),
        figures=[drawn(figure) for figure in _figures(runs, rows, compared, names)],
        runs=[_run(workspace, run, names) for run in runs],
        names=names,
        differing=differences.differences(workspace, chosen) if len(runs) > 1 else [],
    ).encode()


class Shown(NamedTuple):
    """What the page says of one run. `folded`: documents as JSON text, by title."""

    id: str
    name: str
    verdicts: list[Verdict]
    shares: str
    machine: str
    folded: dict[str, str]


def _run(workspace: Workspace, run: RunFiles, names: Mapping[str, str]) -> Shown:
    environment = run.result.get("environment", {})
    folded = {"Environment": environment, "Recipe": run.recipe}
    return Shown(
        run.id, names[run.id], comparison.verdicts(workspace, run.id),
        f"{scope(run.plan.dataset)} {shares(run.plan.dataset)}",
        str(environment.get("summary", "The machine is not known")),
        {title: json.dumps(value, indent=1, ensure_ascii=False) for title, value in folded.items() if value},
    )  # fmt: skip


def _figures(
    runs: Sequence[RunFiles], rows: Sequence[Row], compared: Baseline, names: Mapping[str, str]
) -> list[go.Figure]:
    """Accuracy against size and latency; of one run also all that Compare shows of it, and its learning curves."""
    several = names if len(runs) > 1 else None
    timed = [row for row in rows if row["session"]]
    terms = Terms(several, compared)
    found = [against_size(rows, terms)]
    if len(timed) > 1 and len({row["session"] for row in timed}) == 1:
        found += [against_latency(timed, batch, terms) for batch in (1, comparison.BATCH)]
    if several:
        return found
    run = runs[0]
    judged = comparison.verdicts(run.workspace, run.id)
    first = first_chart(shapes.meta(run.workspace.run(run.id)).get("preset"))
    own = one_run(rows, run.plan, judged, lambda key: _report(run.workspace, key), first)
    found = [*(own.pop(name) for name in list(own) if leads(name, first)), *found, *own.values()]
    index = Index(run.workspace)
    index.sync()
    if series := index.curves(run.id):
        found.append(curves(series, "val_accuracy", hidden=run.plan.dataset["hidden"]))
    return found


def _report(workspace: Workspace, key: str) -> dict[str, Any] | None:
    return read_json(workspace.model(key) / "report.json") if workspace.complete(key) else None


class Table(NamedTuple):
    head: list[str]
    rows: list[tuple[str, ...]]


def _table(rows: Sequence[Row], compared: Baseline, names: Mapping[str, str]) -> Table:
    """The comparison, rounded as on the page; columns that say nothing here are left out."""
    baseline = compared.row
    itself = baseline["run"], baseline["variant"]  # which has no difference
    against = [
        Difference(*itself, None, None, None, None) if (one.run, one.variant) == itself else one
        for one in compared.differences
    ]
    measured = {
        "Run": [names[row["run"]] if len(names) > 1 else None for row in rows],
        "Variant": [row["variant"] for row in rows],
        "Test accuracy": [_share(row, "accuracy") for row in rows],
        "Bits per character": [_bits(row) for row in rows],
        "mAP": [_score(row) if row["measure"] == "mAP" else None for row in rows],
        "Agreement": [_known(format.percent, row["agreement"]) for row in rows],
        "Size": [_known(format.size, row["size_bytes"]) for row in rows],
        "Smaller": [_known(format.times, one.smaller) for one in against],
        "Difference": [_difference(one) for one in against],
        "Latency, batch 1": [_known(format.milliseconds, row["latency_ms"]) for row in rows],
        "Speed-up, batch 1": [_gain(one.faster) for one in against],
        f"Examples/s, batch {comparison.BATCH}": [_known(format.significant, row["images_per_s"]) for row in rows],
        f"Speed-up, batch {comparison.BATCH}": [_gain(one.throughput) for one in against],
        "Parameters": [_known(format.count, row["params"]) for row in rows],
    }
    shown = {name: [_cell(name, cell) for cell in cells] for name, cells in measured.items() if any(cells)}
    return Table(list(shown), list(zip(*shown.values(), strict=True)))


def _cell(name: str, cell: str | None) -> str:
    """A cell of the table; a number stays beside its unit."""
    text = cell or format.MISSING
    return text.replace(" ", NARROW) if name not in WORDS and len(text) <= SHORT else text


def _known(write: Any, value: float | None) -> str | None:
    return None if value is None else write(value)


def _share(row: Row, name: str) -> str | None:
    if row[name] is None:
        return None
    return format.percent_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _bits(row: Row) -> str | None:
    bounds = format.bits_bounds(row["bits_low"], row["bits_high"])
    return _known(lambda value: f"{format.bits(value)} ({bounds})", row["bits"])


def _score(row: Row) -> str | None:
    return _share(row, "score")


def _difference(one: Difference) -> str | None:
    if one.bits is not None:
        return f"{format.signed(one.bits, 3)} bits"
    return _known(format.points, one.points)


def _gain(found: Any) -> str | None:
    return None if found is None else format.times(found.value) if found.differs else "no measurable difference"
