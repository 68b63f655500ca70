"""The command that writes something to take away: `export`, a variant as a zip or a report as one HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from kdcore.cli import output
from kdcore.cli.command import Add, BadInput, write
from kdcore.workspace.state import files
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds the command and its options to the command line."""
    exported = command("export", export, "one variant as a zip that runs by itself, or runs as one HTML report")
    exported.add_argument("runs", nargs="+", metavar="RUN")
    exported.add_argument("--to", choices=["zip", "html"], default="zip", help="zip without it")
    exported.add_argument("--variant", help="for zip: a row of the run's table, such as int8")
    exported.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="where to write")


def export(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Writes the file. Raises BadInput, RecipeError, UnknownRun, Damaged."""
    for run_id in chosen.runs:
        files(workspace.run(run_id))
    write(_zip(chosen, workspace) if chosen.to == "zip" else _page(chosen, workspace), chosen.output)


def _zip(chosen: argparse.Namespace, workspace: Workspace) -> bytes:
    from kdcore.takeaway.variant import variant_zip

    if len(chosen.runs) > 1 or not chosen.variant:
        raise BadInput("--variant: a zip holds one variant of one run: export RUN --variant VARIANT -o FILE.zip")
    return variant_zip(workspace, chosen.runs[0], chosen.variant)


def _page(chosen: argparse.Namespace, workspace: Workspace) -> bytes:
    from kdcore.report.comparison import damages
    from kdcore.takeaway.page import report_page

    if chosen.variant:
        raise BadInput("--variant: is for --to zip; a report is of whole runs")
    for line in damages(workspace, chosen.runs):
        output.complain(line)
    try:
        return report_page(workspace, chosen.runs)
    except ValueError as error:
        raise BadInput(str(error)) from None
