"""The command line: `python -m kdcore`. Everything that the dashboard does, without a browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from kdcore import json_input
from kdcore.cli import app, data, models, output
from kdcore.files import Damaged
from kdcore.problems import RecipeError
from kdcore.workspace.state import files
from kdcore.workspace.workspace import StillRunning, UnknownRun, Workspace

if TYPE_CHECKING:
    from kdcore.recipe import Recipe

DONE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130
EXITS = {"done": DONE, "failed": FAILED, "damaged": FAILED, "cancelled": CANCELLED}
CATALOGS = {
    "datasets": "dataset",
    "models": "architecture",
    "methods": "method",
    "schemes": "scheme",
    "teachers": "teacher",
    "steps": "step",
}


class BadInput(ValueError):
    """What was asked for makes no sense; the message says what would."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed, 2 bad input, 130 cancelled."""
    chosen, workspace = parser().parse_args(arguments), Workspace()
    try:
        return chosen.command(chosen, workspace) or DONE
    except RecipeError as error:
        for problem in error.problems:
            output.complain(f"{problem.field}: {problem.message}")
        return BAD_INPUT
    except (BadInput, UnknownRun) as error:
        output.complain(error)
        return BAD_INPUT
    except (Damaged, StillRunning) as error:
        output.complain(_damage(error, workspace) if isinstance(error, Damaged) else error)
        return FAILED
    except KeyboardInterrupt:
        return CANCELLED
    except BrokenPipeError:
        sys.stderr.close()
        return DONE


def _damage(error: Damaged, workspace: Workspace) -> str:
    """What is damaged, and what can be done about it, in one line."""
    from kdcore.jobs.mending import way_out

    folder = error.file.parent
    told = f". {way_out(folder.name, error.file.name)}" if folder.parent == workspace.runs else ""
    return " ".join(f"{error}{told}".split())


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = _Parser(prog="python -m kdcore", description="Distil, compress and measure image classifiers.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[..., int | None], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(command=command, name=name)
        return made

    def json_option(to: argparse.ArgumentParser) -> None:
        to.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    for name, kind in {"presets": "one-click experiment", **CATALOGS}.items():
        json_option(add(name, _presets if name == "presets" else _catalog, f"list every {kind}"))
    app.add(add)
    data.add(add, json_option)
    for name, command, text in (
        ("run", _run, "carry out an experiment in the foreground"),
        ("submit", _submit, "put an experiment into the queue and print its run's id"),
    ):
        made = add(name, command, text)
        made.add_argument("experiment", metavar="PRESET|FILE.json", help="a preset's name or a recipe's file")
        made.add_argument(
            "--set", action="append", default=[], metavar="PATH=VALUE", help="change the recipe: train.epochs=2"
        )
        json_option(made)
    dispatch = add("dispatch", _dispatch, "serve the queue until it has been empty for a while")
    dispatch.add_argument(
        "--idle", type=float, default=60.0, metavar="SECONDS", help="leave after so long without work"
    )
    add("worker", _worker, "carry one run out (what launchers call)").add_argument("run")
    json_option(add("runs", _runs, "list all runs"))
    show = add("show", _show, "one run's table and verdicts, or the layers of one of its variants")
    show.add_argument("run")
    show.add_argument("--layers", metavar="VARIANT", help="what each layer of this row of the table holds")
    show.add_argument("--format", choices=["csv", "json", "markdown"], help="of the layers; markdown without it")
    show.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write the layers")
    json_option(show)
    for name, text in (
        ("cancel", "end a run at once; finished models stay"),
        ("resume", "go on with a run that was ended or interrupted"),
        ("delete", "move a run to the trash; its models stay"),
    ):
        add(name, _steer, text).add_argument("run")
    stop = add("stop", _stop, "end a run and measure what is finished, or end everything with --all")
    stop.add_argument("run", nargs="?")
    stop.add_argument("--all", action="store_true", help="cancel every run and end the dispatcher")
    compare = add("compare", _compare, "the table of one or more runs, as a file")
    compare.add_argument("runs", nargs="+", metavar="RUN")
    compare.add_argument("--format", default="markdown", choices=["csv", "markdown", "latex", "xlsx", "html", "json"])
    compare.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write; else standard output")
    bench = add("bench", _bench, "time the variants of several runs together, in one session")
    bench.add_argument("runs", nargs="+", metavar="RUN")
    bench.add_argument("--seconds", type=float, default=20.0, help="time budget of the session")
    json_option(bench)
    models.add(add, json_option)
    add("reindex", _reindex, "make the index anew from the files")
    add("gc", _gc, "remove models that no run names, and empty the trash")
    json_option(add("doctor", _doctor, "check this machine and the workspace"))
    return top


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
        raise BadInput(f"{path} cannot be read: it is no text in UTF-8") from None
    except json_input.BadJson as error:
        raise BadInput(f"{path} cannot be read: {error}") from None


def _presets(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.presets import presets

    if chosen.json:
        told = ("name", "title", "summary", "look_for")
        output.document(
            [{name: getattr(known, name) for name in told} | {"recipe": known.recipe.document()} for known in presets()]
        )
        return
    from kdcore.cli import console

    console.listing(["preset", "what it shows"], [[known.name, known.summary] for known in presets()])


def _catalog(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore import registry

    found = registry.catalog(CATALOGS[chosen.name])
    columns = {CATALOGS[chosen.name]: "name", "what it is": "description", "options": "options"}
    if chosen.name == "datasets":
        from kdcore.data.fetch import here

        found = [known | here(known["name"]) for known in found]
        columns["on this machine"] = "here"
    if chosen.json:
        output.document(found)
        return
    from kdcore.cli import console

    rows = [
        [", ".join(cell) if isinstance(cell := known[key], dict) else cell for key in columns.values()]
        for known in found
    ]
    console.listing(list(columns), rows)


def _submit(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.jobs import api

    recipe, preset = recipe_of(chosen.experiment, chosen.set)
    run_id = api.submit(workspace, recipe, preset)
    _warn(recipe, preset if not chosen.set else None)
    api.ensure_dispatcher(workspace)
    if chosen.json:
        output.document({"run": run_id})
    else:
        output.line(run_id)


def _warn(recipe: Recipe, preset: str | None) -> None:
    """Says what is worth knowing; an unchanged preset needs no counting of parameters first."""
    if preset:
        return
    from kdcore.data.dataset import load
    from kdcore.models.cost import costs
    from kdcore.plan.rules.advice import advice

    data = load(recipe.data.source)
    about = len(data.classes), data.shape
    teacher, student = costs([(recipe.teacher.model, *about), (recipe.student.model, *about)])
    for problem in advice(recipe, teacher, student):
        output.complain(f"{problem.field}: {problem.message}")


def _run(chosen: argparse.Namespace, workspace: Workspace) -> int:
    from kdcore.jobs import api

    recipe, preset = recipe_of(chosen.experiment, chosen.set)
    run_id = api.submit(workspace, recipe, preset)
    _warn(recipe, preset if not chosen.set else None)
    return _follow(workspace, run_id, chosen.json)


def _bench(chosen: argparse.Namespace, workspace: Workspace) -> int:
    from kdcore.jobs import api

    if not 1 <= chosen.seconds <= 3600:
        raise BadInput(f"--seconds: {chosen.seconds} is not accepted; give 1 to 3600")
    run_id = api.bench(workspace, chosen.runs, chosen.seconds)
    code = _follow(workspace, run_id, as_json=False, table=False)
    if code == DONE:
        _compared(workspace, chosen.runs, chosen.json)
    return code


def _compared(workspace: Workspace, runs: Sequence[str], as_json: bool) -> None:
    from kdcore.cli import console
    from kdcore.report import comparison

    if as_json:
        output.document(comparison.documents(workspace, runs))
    else:
        console.comparison(comparison.rows(workspace, runs))


def _follow(workspace: Workspace, run_id: str, as_json: bool, table: bool = True) -> int:
    from kdcore.cli import console
    from kdcore.report import comparison

    row = console.settled(workspace, run_id)
    if as_json:
        output.document(comparison.document(workspace, run_id))
    elif row.state == "done" and table:
        console.result(workspace, run_id)
    else:
        console.say(f"{run_id}: {row.state}" + (f": {row.error}" if row.error else ""))
    return EXITS[row.state]


def _dispatch(chosen: argparse.Namespace, workspace: Workspace) -> int:
    from kdcore.jobs.dispatcher import dispatch

    return dispatch(workspace, chosen.idle)


def _worker(chosen: argparse.Namespace, workspace: Workspace) -> int:
    from kdcore.jobs.worker import work

    return work(workspace, chosen.run)


def _runs(chosen: argparse.Namespace, workspace: Workspace) -> None:
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


def _show(chosen: argparse.Namespace, workspace: Workspace) -> None:
    if chosen.layers is None and (chosen.format or chosen.output):
        option = "--format" if chosen.format else "--output"
        raise BadInput(f"{option}: is for the layers of a variant: add --layers VARIANT; the table is for compare")
    files(workspace.run(chosen.run))  # of a damaged run nothing is shown
    if chosen.layers is not None:
        _write(models.layers(chosen, workspace), chosen.output)
        return
    from kdcore.report import comparison

    if chosen.json:
        output.document(comparison.document(workspace, chosen.run))
        return
    from kdcore.cli import console

    console.result(workspace, chosen.run)


def _write(content: bytes, output: Path | None) -> None:
    """To the file, or as text to standard output. Raises BadInput where it cannot be written."""
    if not output:
        sys.stdout.write(content.decode())
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}") from None


def _steer(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.jobs import api

    if chosen.name == "delete":
        api.delete(workspace, chosen.run)
        output.line(f"{chosen.run}: in the trash")
        return
    output.line(f"{chosen.run}: {_asked(workspace, chosen.run, chosen.name)}")
    if chosen.name == "resume":
        api.ensure_dispatcher(workspace)


def _asked(workspace: Workspace, run_id: str, wanted: Literal["stop", "cancel", "resume"]) -> str:
    """Asks for it, and says what will come of that."""
    from kdcore.jobs import api
    from kdcore.workspace.state import SETTLED

    before = api.request(workspace, run_id, "run" if wanted == "resume" else wanted)
    if before in (SETTLED if wanted != "resume" else ("queued", "running")):
        return f"is {before}; nothing to {wanted}"
    if wanted == "resume" and before == "done":
        return "resume asked for; finished stages are kept, the timing is measured anew"
    return f"{wanted} asked for"


def _stop(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.jobs import api
    from kdcore.report import format

    if chosen.all == bool(chosen.run):
        raise BadInput("stop: give one run's id, or --all")
    if chosen.run:
        output.line(f"{chosen.run}: {_asked(workspace, chosen.run, 'stop')}")
        return
    stopped = api.stop_all(workspace)
    output.line(f"{format.plural(len(stopped), 'run')} cancelled; the dispatcher has ended")


def _compare(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.report.comparison import damages
    from kdcore.report.documents import comparison_file

    for run_id in chosen.runs:
        files(workspace.run(run_id))
    if chosen.format == "xlsx" and not chosen.output:
        raise BadInput("--output: xlsx is no text; give a file with -o FILE")
    for line in damages(workspace, chosen.runs):
        print(line, file=sys.stderr)
    _write(comparison_file(workspace, chosen.runs, chosen.format), chosen.output)


def _reindex(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.workspace.index import Index

    index = Index(workspace)
    index.rebuild()
    rows = index.runs()
    damaged = sum(row.damaged is not None for row in rows)
    output.line(f"{len(rows)} runs in the index" + (f", {damaged} of them damaged: see doctor" if damaged else ""))


def _gc(chosen: argparse.Namespace, workspace: Workspace) -> None:
    from kdcore.jobs.mending import way_out
    from kdcore.report.format import size
    from kdcore.workspace.gc import collect

    freed = collect(workspace)
    output.line(f"removed {freed.models} models and {freed.trashed_runs} deleted runs: {size(freed.bytes)}")
    for run_id in freed.unknown:
        told = "its plan cannot be read, so nobody knows which models it needs, and all are kept"
        output.complain(f"{run_id}: {told}. {way_out(run_id, 'plan.json')}; then run gc again")


def _doctor(chosen: argparse.Namespace, workspace: Workspace) -> int:
    from kdcore.jobs.doctor import checks

    found = checks(workspace)
    if chosen.json:
        output.document([check._asdict() for check in found])
    else:
        from kdcore.cli import console

        console.listing(["check", "", "what was found"], [[c.name, "ok" if c.ok else "NO", c.found] for c in found])
    return DONE if all(check.ok for check in found) else FAILED
