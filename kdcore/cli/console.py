"""What the command line shows: progress on standard error, tables on standard output."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from kdcore.report import format
from kdcore.report.names import printable
from kdcore.workspace.index import RunRow
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    from kdcore.data.types import Dataset
    from kdcore.data.types import Progress as Fetching
    from kdcore.plan.estimate import Estimate
    from kdcore.registry import Options
    from kdcore.report.hidden import Recalled
    from kdcore.report.robustness import Robust
    from kdcore.workspace.shapes import SearchFound

WIDTH = 120  # where output goes to a file or a pipe

_out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
_aside = Console(stderr=True, highlight=False)


def shown(text: str) -> str:
    """Text from others for the terminal: no control characters, and no markup of rich's."""
    return escape(printable(text))


def say(message: str) -> None:
    """A line beside the result."""
    _aside.print(shown(message))


def listing(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(shown(cell) for cell in row))
    _out.print(table)


def plan(stages: Sequence[Mapping[str, Any]], found: Estimate) -> None:
    """The stages of a plan, and how long they will take."""
    listing(
        ["stage", "steps", ""],
        [[one["stage"], str(one["steps"] or ""), "reused" if one["complete"] else ""] for one in stages],
    )
    if found.low and found.high and found.shortest and found.speedup:
        say(f"{format.between(found.low, found.high)}. {format.shortest(found.shortest, found.speedup)}")
    say(found.basis)


def runs(rows: Iterable[RunRow]) -> None:
    """The list of all runs."""
    from kdcore.report.comparison import BATCH
    from kdcore.report.headline import quality

    listing(
        ["run", "name", "state", "progress", "quality", "smaller", f"throughput\nbatch {BATCH}", "started"],
        [
            [
                row.id,
                row.name,
                format.state(_state(row), row.silent_since, row.job),
                format.percent(row.progress),
                quality(row),
                format.times(row.smaller),
                format.times(row.faster),
                _moment(row.started),
            ]
            for row in rows
        ],
    )


def _moment(seconds: float | None) -> str:
    return datetime.datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else format.MISSING


def progress(workspace: Workspace, run_id: str) -> RunRow:
    """Shows the run's progress until it is settled; returns its last row."""
    from kdcore.jobs.follow import follow

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=_aside,
        transient=True,
    ) as bars:
        bar = bars.add_task(run_id, total=1.0, left="")
        for row in follow(workspace, run_id):
            left = format.left(row.eta_seconds) if row.eta_seconds else ""
            bars.update(bar, completed=row.progress, description=shown(_doing(workspace, row)), left=left)
    return row


def settled(workspace: Workspace, run_id: str) -> RunRow:
    """`progress`; an interruption from the keyboard cancels the run."""
    from kdcore.jobs import api
    from kdcore.jobs.follow import follow

    try:
        return progress(workspace, run_id)
    except KeyboardInterrupt:
        api.request(workspace, run_id, "cancel")
        *_, row = follow(workspace, run_id)
        return row


def ending(row: RunRow) -> None:
    """How a run ended, beside the result."""
    say(f"{row.id}: {_state(row)}" + (f": {row.error}" if row.error else ""))


def _state(row: RunRow) -> str:
    return "stopped, results kept" if row.kept else row.state


def fetching(source: Options) -> Dataset:
    """Fetches a data set and shows how far it is."""
    from kdcore.data.fetch import fetch

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
        console=_aside,
        transient=True,
        disable=not _aside.is_terminal,  # into a file it would leave an empty line
    ) as bars:
        bar = bars.add_task("", total=None, amount="")

        def show(now: Fetching) -> None:
            amount = f"{now.done:,} of {now.total:,} {now.unit}"
            if now.unit == "bytes":
                amount = f"{format.size(now.done)} of {format.size(now.total)}"
            bars.update(bar, completed=now.done, total=now.total, description=shown(now.doing), amount=amount)

        return fetch(source, show)


def _doing(workspace: Workspace, row: RunRow) -> str:
    from kdcore.jobs.follow import ahead

    if row.state == "queued" and (before := ahead(workspace, row.id)):
        return f"{row.name}: queued behind {format.plural(before, 'run')}"
    return f"{row.name}: {format.state(row.stage or row.state, row.silent_since, row.job)}"


def result(workspace: Workspace, run_id: str) -> None:
    """A run's table, its verdicts in words, and where it is kept."""
    from kdcore.report import comparison as report
    from kdcore.report.verdicts import scope, shares

    rows = report.rows(workspace, [run_id])
    plan = workspace.plan(run_id)
    for line in filter(None, (plan.lacks(), *report.damages(workspace, [run_id]))):
        say(line)
    if not rows:
        say(f"{run_id}: no finished model yet")
        return
    comparison(rows)
    _hidden(report.hidden(workspace, run_id))
    _out.print()
    for verdict in report.verdicts(workspace, run_id):
        _out.print(shown(f"{verdict.variant}: {verdict.words}"), soft_wrap=True)
    for row in rows:
        if row["note"]:
            _out.print(shown(f"{row['variant']}: {row['note']}"), soft_wrap=True)
    if any(row["verdict"] for row in rows):
        _out.print(scope(plan.dataset))
    _out.print(shown(shares(plan.dataset)), soft_wrap=True)
    say(f"run {run_id} in {workspace.root}")


def searched(found: SearchFound) -> None:
    """What a search has found: its front, the outcome in words, winner and control on the test images."""
    from kdcore.search.judging import counted, front, value_of
    from kdcore.search.wording import namesakes

    coded = any(trial.get("coded_bytes") for trial in found["trials"])  # then it is what counts
    best = front(found["trials"], coded)
    timed = {"latency_ms": "latency,\nbatch 1", "batch_ms": "per example,\nbatch 64"}
    shown_times = {name: title for name, title in timed.items() if any(name in row for row in best)}
    listing(
        ["candidate", "validation", "coded size" if coded else "size", *shown_times.values()],
        [
            [name, format.percent(row["accuracy"]), format.size(value_of("size", row, coded)),
             *(format.milliseconds(row.get(one)) for one in shown_times)]
            for name, row in zip(namesakes(best), best, strict=True)
        ],
    )  # fmt: skip
    _out.print()
    final = found.get("final")
    _out.print(shown(final["words"] if final else found["words"]), soft_wrap=True)
    _out.print(f"{counted(found)}.")
    models = {name: row for name in ("winner", "nearest", "control") if final and (row := final[name])}
    for (name, row), label in zip(models.items(), namesakes([*models.values()]), strict=True):
        facts = f"{format.percent(row['test_accuracy'])} on test examples, {format.size(row['size_bytes'])}"
        _out.print(shown(f"{name.capitalize()}: {label}, {facts}"), soft_wrap=True)
    if final and (verdict := final.get("verdict")):
        _out.print(shown(f"{verdict['words']}."), soft_wrap=True)


def robustness(found: Sequence[Robust]) -> None:
    """Scores on corrupted images, the mean over the severities, and what each step changed beside its parent."""
    from kdcore.inputs import titles
    from kdcore.report.robustness import against, compared

    names = found[0].scores if found else ()
    listing(
        ["variant", "clean", "corrupted", *(titles()[name].lower() for name in names), "images"],
        [
            [
                one.variant,
                *(format.percent(share) for share in (one.clean, one.corrupted)),
                *(format.percent(fmean(scores)) for scores in one.scores.values()),
                f"{one.n:,}",
            ]
            for one in found
        ],
    )
    _out.print()
    for change in (against(one, other) for one, other in compared(found)):
        if change:
            _out.print(shown(change.words), soft_wrap=True)


def _hidden(recalls: Sequence[Recalled]) -> None:
    if recalls:
        _out.print()
        listing(
            ["variant", "hidden class", "recall", "bias-corrected"],
            [[r.variant, r.hidden, format.percent(r.recall), format.percent(r.corrected)] for r in recalls],
        )


def comparison(rows: Sequence[dict[str, Any]]) -> None:
    """The main columns of the comparison; accuracy, or mAP where images have several labels."""
    from kdcore.report.comparison import BATCH

    several = len({row["run"] for row in rows}) > 1
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1))
    for name in [*(["run"] if several else []), "variant"]:
        table.add_column(name)
    measure = " or ".join(dict.fromkeys(row["measure"] for row in rows)) or "accuracy"
    has_bits = any(row["bits"] is not None for row in rows)  # of language models
    at_one, at_many = "batch 1", f"batch {BATCH}"
    speeds = (f"ms\n{at_one}", f"speed-up\n{at_one}", f"examples/s\n{at_many}", f"speed-up\n{at_many}")
    for name in (*(("bits/char", "95 %") if has_bits else ()), measure, "95 %", "size", *speeds):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=10)
    for row in rows:
        cells = [
            *([row["run"]] if several else []),
            row["variant"],
            *([format.bits(row["bits"]), format.bits_bounds(row["bits_low"], row["bits_high"])] if has_bits else []),
            format.percent(row["score"]),
            format.percent_bounds(row["score_low"], row["score_high"]),
            format.size(row["size_bytes"]),
            format.trimmed(row["latency_ms"]),
            format.times(row["speedup"]),
            format.significant(row["images_per_s"]),
            format.times(row["throughput_gain"]),
            row["judged"],
        ]
        table.add_row(*(shown(cell) for cell in cells))
    _out.print(table)
