"""The commands that write something to take away and take it in elsewhere: `export` and `import`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kdcore.cli import output
from kdcore.cli.command import Add, BadInput, write
from kdcore.files import replacing
from kdcore.workspace.state import files
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds the commands and their options to the command line."""
    exported = command("export", export, "a run, or one of its variants, as a zip; or runs as one HTML report")
    exported.add_argument("runs", nargs="+", metavar="RUN")
    exported.add_argument(
        "--to",
        choices=["zip", "html", "tensorboard", "mlflow", "litert"],
        default="zip",
        help="default: zip, the whole run for `import`, or a variant",
    )
    exported.add_argument("--variant", help="for zip and litert: a row of the run's table, such as int8")
    exported.add_argument("-o", "--output", type=Path, metavar="FILE", required=True, help="file or folder to write")
    taken = command("import", take_in, "take in a run that another installation exported as a zip")
    taken.add_argument("file", type=Path, metavar="FILE.zip")


def export(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Writes the file. Raises BadInput, RecipeError, UnknownRun, Damaged."""
    for run_id in chosen.runs:
        files(workspace.run(run_id))
    if chosen.to == "html":
        write(_page(chosen, workspace), chosen.output)
    elif chosen.to == "litert":
        _litert(chosen, workspace)
    elif chosen.to != "zip":
        _tracked(chosen, workspace)
    elif len(chosen.runs) > 1:
        raise BadInput("--to zip: a zip holds one run, or one variant of it")
    elif chosen.variant:
        from kdcore.takeaway.variant import variant_zip

        write(variant_zip(workspace, chosen.runs[0], chosen.variant), chosen.output)
    else:
        _run(chosen, workspace)


def take_in(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Takes in the run and prints its id. Raises BadInput."""
    from kdcore.takeaway.importing import NotImported, import_run

    try:
        found = import_run(workspace, chosen.file)
    except NotImported as error:
        raise BadInput(f"{chosen.file} was not imported: {error}") from None
    output.complain(f"{found.words} imported")
    output.line(found.run)


def _run(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.takeaway.run import write_run

    try:
        with replacing(chosen.output) as temporary:
            write_run(workspace, chosen.runs[0], temporary)
    except OSError as error:
        raise BadInput(f"{chosen.output} cannot be written: {error.strerror}") from None


def _litert(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.takeaway.litert import convert
    from kdcore.takeaway.trackers import MissingLibrary

    if len(chosen.runs) > 1 or not chosen.variant:
        raise BadInput("--to litert: takes one run and its --variant")
    try:
        found = convert(workspace, chosen.runs[0], chosen.variant, chosen.output)
    except MissingLibrary as error:
        raise BadInput(f"--to litert: {error}") from None
    except OSError as error:
        raise BadInput(f"{chosen.output} cannot be written: {error.strerror}") from None
    output.complain(f"verified on {found.images} test examples: at most {found.difference:.2g} off in a logit")


def _tracked(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.takeaway.trackers import TRACKERS, MissingLibrary

    if chosen.variant:
        raise BadInput("--variant: is for --to zip; a tracker takes whole runs")
    try:
        for run_id in chosen.runs:
            TRACKERS[chosen.to](workspace, run_id, chosen.output)
    except MissingLibrary as error:
        raise BadInput(f"--to {chosen.to}: {error}") from None
    except OSError as error:
        raise BadInput(f"{chosen.output} cannot be written: {error.strerror}") from None


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
