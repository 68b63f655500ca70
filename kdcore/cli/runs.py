"""The commands that make experiments and look at them: `plan`, `run`, `submit`, `runs`, `show`, `compare`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcore import json_input
from kdcore.cli import output
from kdcore.cli.command import Add, BadInput, json_option, write
from kdcore.problems import Problem, RecipeError
from kdcore.workspace import shapes
from kdcore.workspace.state import JOBS, files
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    from kdcore.recipe import Recipe
    from kdcore.workspace.plans import Plan


def add(command: Add) -> None:
    """Adds the commands and their options to the command line."""
    _add_experiment(command("run", run, "run an experiment in the foreground"))
    _add_experiment(command("submit", submit, "queue an experiment and print its run id"))
    _add_experiment(command("plan", show_plan, "show an experiment's stages and how long they will take; run nothing"))
    json_option(command("runs", list_runs, "list all runs"))
    shown = command("show", show, "one run's table and verdicts, or the layers of one of its variants")
    shown.add_argument("run")
    shown.add_argument("--layers", metavar="VARIANT", help="the layers of this variant")
    shown.add_argument("--format", choices=["csv", "json", "markdown"], help="format of the layers; default: markdown")
    shown.add_argument("-o", "--output", type=Path, metavar="FILE", help="file for the layers")
    json_option(shown)
    compared = command("compare", compare, "export the comparison of one or more runs")
    compared.add_argument("runs", nargs="+", metavar="RUN")
    formats = ["csv", "csv-excel", "markdown", "latex", "xlsx", "html", "json"]
    compared.add_argument("--format", default="markdown", choices=formats)
    compared.add_argument(
        "--columns",
        type=lambda names: names.split(","),
        metavar="A,B",
        help="columns, such as variant,accuracy,smaller",
    )
    compared.add_argument("--differences", action="store_true", help="which recipe fields and results differ instead")
    compared.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write; default: standard output")


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="PRESET|FILE.json", help="a preset's name or a recipe's file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="change a recipe value: train.epochs=2"
    )
    json_option(parser)


def run(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """What the run ended with, once it has ended. Raises BadInput, RecipeError."""
    from kdcore.cli import console
    from kdcore.jobs.worker import EXIT_CODES
    from kdcore.report import comparison

    run_id = _submitted(chosen, workspace)
    row = console.settled(workspace, run_id)
    if chosen.json:
        output.document(comparison.document(workspace, run_id))
        if row.state != "done":
            console.ending(row)
    elif row.state == "done":
        console.result(workspace, run_id)
    else:
        console.ending(row)
    return EXIT_CODES[row.state]


def submit(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints the id of the run, which another process does. Raises BadInput, RecipeError."""
    from kdcore.jobs import api

    run_id = _submitted(chosen, workspace)
    api.ensure_dispatcher(workspace)
    if chosen.json:
        output.document({"run": run_id})
    else:
        output.line(run_id)


def _submitted(chosen: argparse.Namespace, workspace: Workspace) -> str:
    from kdcore.jobs import api

    recipe, preset = recipe_of(chosen.experiment, chosen.set)
    run_id = api.submit(workspace, recipe, preset)
    if not preset or chosen.set:  # an unchanged preset needs no counting of parameters first
        _warn(recipe)
        say_how_many(recipe, workspace.plan(run_id))
    return run_id


def show_plan(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints the stages, which of them are there already, and the estimate. Raises BadInput, RecipeError."""
    from kdcore.models.cost import CostError
    from kdcore.plan.estimate import Estimate, estimate
    from kdcore.plan.plan import plan

    recipe, _ = recipe_of(chosen.experiment, chosen.set)
    planned = plan(recipe, workspace)
    try:
        found = estimate(planned, workspace, recipe.measure.timing_seconds, recipe.measure.robustness)
    except CostError as error:
        found = Estimate(None, str(error))
    stages = [
        {"stage": stage.title, "key": stage.key, "steps": stage.steps, "complete": workspace.complete(stage.key)}
        for stage in planned.stages
    ]
    if chosen.json:
        output.document({"stages": stages, "estimate": found._asdict()})
        return
    from kdcore.cli import console

    console.plan(stages, found)


def recipe_of(experiment: str, assignments: Sequence[str]) -> tuple[Recipe, str | None]:
    """The Recipe that a preset's name or a file means, with `--set` applied, and the preset's name.

    Raises BadInput and RecipeError.
    """
    from kdcore.presets import UnknownPreset, preset
    from kdcore.recipe import override, parse

    if experiment.endswith(".json"):
        return parse(override(_read(Path(experiment)), assignments)), None
    try:
        known = preset(experiment)
    except UnknownPreset as error:
        raise BadInput(f"{error}; or give a recipe's file, which ends in .json") from None
    return parse(override(known.recipe.document(), assignments)), known.name


def _read(path: Path) -> Any:
    try:
        return json_input.read(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} cannot be read: it is not UTF-8 text") from None
    except json_input.BadJson as error:
        raise BadInput(f"{path} cannot be read: {error}") from None


def _warn(recipe: Recipe) -> None:
    """Says what is worth knowing about a Recipe that works."""
    from kdcore.data.dataset import load
    from kdcore.models.cost import CostError, costs
    from kdcore.plan.rules.advice import advice

    data = load(recipe.data.source)
    about = len(data.classes), data.shape
    try:
        teacher, student = costs([(recipe.teacher.model, *about), (recipe.student.model, *about)])
    except CostError as error:  # the run is in the queue all the same
        output.complain(f"no advice on this experiment: {error}")
        return
    for problem in advice(recipe, teacher, student):
        output.complain(f"{problem.field}: {problem.message}")


def say_how_many(recipe: Recipe, plan: Plan) -> None:
    """Says how many images each step looks at, and how much so many test images can tell, as the form does."""
    from kdcore.report.images import interval_width, looked_at

    for sentence in filter(None, (*looked_at(recipe, plan.dataset), interval_width(plan.dataset))):
        output.complain(sentence)


def list_runs(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints all runs, the latest first."""
    from kdcore.jobs.mending import way_out
    from kdcore.workspace.index import Index

    index = Index(workspace)
    index.sync()
    if chosen.json:
        output.document([row._asdict() for row in index.runs()])
        return
    from kdcore.cli import console

    rows = index.runs()
    console.runs(rows)
    for row in rows:
        if row.damaged:
            console.say(f"{row.id} is damaged: {row.error}. {way_out(row.id, row.damaged)}")
        elif row.note:
            console.say(f"{row.id}: {row.note}")
        elif row.job:
            console.say(f"{row.id}: {row.job}; logs in {workspace.runs / row.id / JOBS}")


def show(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints one run's table and verdicts, or the layers of one variant. Raises BadInput, RecipeError, UnknownRun."""
    if chosen.layers is None and (chosen.format or chosen.output):
        option = "--format" if chosen.format else "--output"
        raise BadInput(f"{option}: applies to layers: add --layers VARIANT; use compare to export the table")
    files(workspace.run(chosen.run))  # of a damaged run nothing is shown
    if chosen.layers is not None:
        write(_layers(chosen, workspace), chosen.output)
        return
    if "search" in shapes.asked(workspace.run(chosen.run)):
        found_by_search(workspace, chosen.run, as_json=chosen.json)
        return
    from kdcore.report import comparison

    if chosen.json:
        output.document(comparison.document(workspace, chosen.run))
        return
    from kdcore.cli import console

    console.result(workspace, chosen.run)


def found_by_search(workspace: Workspace, run_id: str, *, as_json: bool) -> None:
    """What a search has found: the candidates that no other beats, the winner and what it is compared with."""
    found = shapes.search(workspace.run(run_id))
    if as_json:
        output.document({"run": run_id, **(found or {"trials": []})})
        return
    from kdcore.cli import console

    if not found:
        console.say(f"{run_id}: no trial yet")
        return
    console.searched(found)
    console.say(f"run {run_id} in {workspace.root}")


def _layers(chosen: argparse.Namespace, workspace: Workspace) -> bytes:
    from kdcore.report.layers import inside, layers_file

    if chosen.json and chosen.format not in (None, "json"):
        message = f"{chosen.format} contradicts --json; leave one of them out"
        raise RecipeError([Problem("--format", message)])
    layers = inside(workspace, chosen.run, chosen.layers, field="--layers")
    return layers_file([layers], chosen.format or ("json" if chosen.json else "markdown"))


def compare(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Writes the table of one or more runs. Raises BadInput, UnknownRun."""
    from kdcore.report.comparison import damages
    from kdcore.report.documents import comparison_file

    for run_id in chosen.runs:
        files(workspace.run(run_id))
    if chosen.format == "xlsx" and not chosen.output:
        raise BadInput("--output: xlsx is binary; give a file with -o FILE")
    if chosen.columns and (chosen.format == "json" or chosen.differences):
        raise BadInput("--columns: JSON and the differences have all of them")
    for line in damages(workspace, chosen.runs):
        output.complain(line)
    content = _differences(chosen, workspace)
    try:
        content = content or comparison_file(workspace, chosen.runs, chosen.format, columns=chosen.columns)
    except ValueError as error:
        raise BadInput(f"--columns: {error}") from None
    write(content, chosen.output)


def _differences(chosen: argparse.Namespace, workspace: Workspace) -> bytes | None:
    from kdcore.report import differences
    from kdcore.report.documents import write as formatted

    if not chosen.differences:
        return None
    if len(chosen.runs) < 2:
        raise BadInput("--differences: name at least two runs")
    if chosen.format == "json":
        raise BadInput("--format: the differences are a table; give csv, csv-excel, markdown, latex, xlsx or html")
    return formatted(differences.table(workspace, chosen.runs), chosen.format)
