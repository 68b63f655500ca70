"""A run, or several beside each other, as one HTML page that opens offline and asks nothing of the network."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from kdcore.figures.curves import curves
from kdcore.figures.frontier import against_latency, against_size
from kdcore.figures.links import without_links
from kdcore.figures.one_run import leads, one_run
from kdcore.figures.points import Baseline, Terms
from kdcore.files import read_json
from kdcore.presets import first_chart
from kdcore.report import comparison, differences, format
from kdcore.report.comparison import Difference
from kdcore.report.names import printable
from kdcore.report.reading import RunFiles
from kdcore.report.verdicts import SCOPE, shares
from kdcore.workspace import shapes
from kdcore.workspace.index import Index
from kdcore.workspace.workspace import Workspace

Row = comparison.Row
WORDS = ("Run", "Variant")  # columns that hold no numbers
SHORT, NARROW = 14, "\N{NO-BREAK SPACE}"  # letters of a cell that stays on one line

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:">
<title>$title</title>
<style>
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 80rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0.2rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d8dee4 }
.about { color: #6a6f75; margin-top: 0 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 0.9rem }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid #d8dee4; vertical-align: top }
td.number { text-align: right }
pre { background: #f3f5f7; padding: 1rem; overflow-x: auto; font-size: 0.8rem }
figure { margin: 1.5rem 0 }
figcaption { font-weight: 600 }
</style>
<script>$plotly</script>
</head>
<body>
<h1>$title</h1>
<p class="about">$about</p>
$body
</body>
</html>
""")


def report_page(workspace: Workspace, run_ids: Sequence[str], baseline: Row | None = None) -> bytes:
    """The content of the page, text in UTF-8: figures, table, verdicts, what differs, recipes, environment.

    `baseline`: the row of `report.comparison.rows` that sizes and speeds are compared with; the first one without it.
    Raises UnknownRun and Damaged, and ValueError where no variant of the runs is finished.
    """
    chosen = list(dict.fromkeys(run_ids))
    runs = [RunFiles(workspace, run_id) for run_id in chosen]
    names = _names(runs)
    rows = comparison.rows(workspace, chosen)
    if not rows:
        raise ValueError("no variant of these runs is finished")
    first = baseline or rows[0]
    compared = Baseline(first, comparison.differences(workspace, rows, first))
    body = [
        *(f"<p><strong>{_text(line)}</strong></p>" for line in comparison.damages(workspace, chosen)),
        _section("Results", _table(rows, compared, names)),
        *(_figure(place, figure) for place, figure in enumerate(_figures(runs, rows, compared, names))),
        _section("Verdicts", _verdicts(workspace, runs, names)),
    ]
    if len(runs) > 1:
        body.append(_section("Differences between the runs", _differing(workspace, chosen, names)))
    body += [_section(f"How {names[run.id]} was made", _made(run)) for run in runs]
    when = time.strftime("%d %B %Y, %H:%M")
    page = _PAGE.substitute(
        title=_text(" and ".join(names.values())), plotly=get_plotlyjs(), body="\n".join(body),
        about=f"Made by kdcore on {when}. This file is complete: it opens without a network.",
    )  # fmt: skip
    return page.encode()


def _names(runs: Sequence[RunFiles]) -> dict[str, str]:
    """By id; runs of one name with their id."""
    named = {run.id: shapes.meta(run.workspace.run(run.id))["name"] for run in runs}
    often = Counter(named.values())
    return {run_id: name if often[name] == 1 else f"{name} ({run_id})" for run_id, name in named.items()}


def _text(words: str) -> str:
    return escape(printable(words))


def _section(title: str, content: str) -> str:
    return f"<h2>{_text(title)}</h2>\n{content}"


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


def _figure(place: int, figure: go.Figure) -> str:
    """A figure below its title, which wraps where plotly's does not."""
    title, figure = figure.layout.title.text, go.Figure(without_links(figure))
    figure.update_layout(title=None, template="plotly_white")
    drawn = to_html(
        figure, config={"displaylogo": False, "responsive": True}, include_plotlyjs=False, full_html=False,
        div_id=f"figure-{place}",
    )  # fmt: skip
    return f"<figure><figcaption>{_text(title)}</figcaption>\n{drawn}</figure>"


def _table(rows: Sequence[Row], compared: Baseline, names: Mapping[str, str]) -> str:
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
        "mAP": [_score(row) if row["measure"] == "mAP" else None for row in rows],
        "Agreement": [_known(format.percent, row["agreement"]) for row in rows],
        "Size": [_known(format.size, row["size_bytes"]) for row in rows],
        "Smaller": [_known(format.times, one.smaller) for one in against],
        "Difference": [_known(format.points, one.points) for one in against],
        "Latency, batch 1": [_known(format.milliseconds, row["latency_ms"]) for row in rows],
        "Speed-up, batch 1": [_gain(one.faster) for one in against],
        f"Images/s, batch {comparison.BATCH}": [_known(format.significant, row["images_per_s"]) for row in rows],
        f"Speed-up, batch {comparison.BATCH}": [_gain(one.throughput) for one in against],
        "Parameters": [_known(format.count, row["params"]) for row in rows],
    }
    columns = {name: cells for name, cells in measured.items() if any(cells)}
    head = "".join(f"<th>{_text(name)}</th>" for name in columns)
    lines = [_line(list(columns), cells) for cells in zip(*columns.values(), strict=True)]
    named = f"{names[baseline['run']]}, {baseline['variant']}" if len(names) > 1 else baseline["variant"]
    note = f"<p class='about'>Smaller, Difference and Speed-up are relative to the baseline, {_text(named)}.</p>"
    apart = "; ".join(dict.fromkeys(row["latency_note"] for row in rows if row["latency_note"]))
    timed = f"<p class='about'>Times: {_text(apart)}.</p>" if apart else ""
    return f"<div class='wide'><table><tr>{head}</tr>{''.join(lines)}</table></div>{note}{timed}"


def _line(names: Sequence[str], cells: Sequence[str | None]) -> str:
    """A row of the table; a number stays beside its unit."""
    lines = []
    for name, cell in zip(names, cells, strict=True):
        words = cell or format.MISSING
        short = words.replace(" ", NARROW) if len(words) <= SHORT else words
        lines.append(f"<td>{_text(words)}</td>" if name in WORDS else f"<td class=number>{_text(short)}</td>")
    return f"<tr>{''.join(lines)}</tr>"


def _known(write: Any, value: float | None) -> str | None:
    return None if value is None else write(value)


def _share(row: Row, name: str) -> str | None:
    if row[name] is None:
        return None
    return format.percent_interval(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _score(row: Row) -> str | None:
    return _share(row, "score")


def _gain(found: Any) -> str | None:
    return None if found is None else format.times(found.value) if found.differs else "no measurable difference"


def _verdicts(workspace: Workspace, runs: Sequence[RunFiles], names: Mapping[str, str]) -> str:
    parts = []
    for run in runs:
        if len(runs) > 1:
            parts.append(f"<h3>{_text(names[run.id])}</h3>")
        found = comparison.verdicts(workspace, run.id)
        lines = [f"<li><strong>{_text(one.variant)}</strong>: {_text(one.words)}.</li>" for one in found]
        parts.append(f"<ul>{''.join(lines)}</ul>" if lines else "<p>This run has no baseline.</p>")
        parts.append(f"<p>{_text(shares(run.plan.dataset))}</p>")
    return "\n".join([*parts, f"<p>{_text(SCOPE)}</p>"])


def _differing(workspace: Workspace, run_ids: Sequence[str], names: Mapping[str, str]) -> str:
    found = differences.differences(workspace, run_ids)
    head = "".join(f"<th>{_text(names[run_id])}</th>" for run_id in run_ids)
    lines = [
        f"<tr><td>{_text(field.path)}</td>{''.join(f'<td>{_text(value)}</td>' for value in field.values)}</tr>"
        for field in found
    ]
    if not lines:
        return "<p>Recipes and results are the same.</p>"
    return f"<div class='wide'><table><tr><th>Field</th>{head}</tr>{''.join(lines)}</table></div>"


def _made(run: RunFiles) -> str:
    """Environment and recipe, folded."""
    environment = run.result.get("environment", {})
    about = f"<p>Run {_text(run.id)}. {_text(str(environment.get('summary', 'The machine is not known')))}.</p>"
    folded = [("Environment", environment), ("Recipe", run.recipe)]
    parts = [
        f"<details><summary>{title}</summary><pre>{_json(value)}</pre></details>" for title, value in folded if value
    ]
    return about + "".join(parts)


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=1, ensure_ascii=False))
