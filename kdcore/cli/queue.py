"""The commands about the queue: what serves it, and what steers the runs in it."""

from __future__ import annotations

import argparse
from typing import Literal

from kdcore.cli import output
from kdcore.cli.command import Add, BadInput
from kdcore.registry import Options
from kdcore.workspace.settings import MOST_SLOTS
from kdcore.workspace.workspace import UnknownRun, Workspace


def add(command: Add) -> None:
    """Adds the commands and their options to the command line."""
    dispatching = command("dispatch", dispatch, "run queued runs until the queue has been empty for a while")
    dispatching.add_argument(
        "--idle", type=float, default=60.0, metavar="SECONDS", help="exit after this long without work"
    )
    dispatching.add_argument(
        "--slots", type=int, metavar="N",
        help=f"run up to N workers at a time, 1 to {MOST_SLOTS}; without it as the settings say: one per GPU, or one",
    )  # fmt: skip
    dispatching.add_argument(
        "--launcher", nargs="+", metavar=("NAME", "OPTION=VALUE"),
        help="where workers run, with its options: slurm partition=gpu gpus=1 (see docs/cluster.md); without it as the "
        "settings say",
    )  # fmt: skip
    command("worker", work, "run a single run (used by launchers)").add_argument("run")
    command(
        "build", build, "join a run: build stages of it beside its worker, here or on another machine"
    ).add_argument("run")
    command("cancel", cancel_or_resume, "cancel a run; finished models stay").add_argument("run")
    command("resume", cancel_or_resume, "resume a cancelled, failed or interrupted run").add_argument("run")
    command("delete", delete, "move a run to the trash; its models stay").add_argument("run")
    command("restore", restore, "restore a deleted run from the trash").add_argument("run")
    stopping = command("stop", stop, "stop a run and measure what is finished, or end everything with --all")
    stopping.add_argument("run", nargs="?")
    stopping.add_argument("--all", action="store_true", help="cancel all runs and the dispatcher")


def dispatch(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """Serves the queue in this process. Raises BadInput."""
    from kdcore.jobs.dispatcher import dispatch

    if chosen.slots is not None and not 1 <= chosen.slots <= MOST_SLOTS:
        raise BadInput(f"--slots: {chosen.slots} is not accepted; give 1 to {MOST_SLOTS}")
    return dispatch(workspace, chosen.idle, chosen.slots, _launcher(chosen.launcher))


def _launcher(words: list[str] | None) -> Options | None:
    """What `--launcher` says; None without it. Raises BadInput."""
    from kdcore.jobs.launcher import in_words

    try:
        return in_words(words) if words else None
    except ValueError as error:
        raise BadInput(f"--launcher: {error}") from None


def work(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """Does one run in this process. Raises UnknownRun."""
    from kdcore.jobs.worker import work

    return work(workspace, chosen.run)


def build(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Builds stages of a run beside its worker. Raises UnknownRun, Damaged, RecipeError."""
    from kdcore.jobs.further import build

    build(workspace, chosen.run)


def cancel_or_resume(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Asks for what the command's name says. Raises UnknownRun."""
    from kdcore.jobs import api

    output.line(f"{chosen.run}: {_request(workspace, chosen.run, chosen.name)}")
    if chosen.name == "resume":
        api.ensure_dispatcher(workspace)


def delete(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Moves a run to the trash. Raises UnknownRun."""
    from kdcore.jobs import api

    api.delete(workspace, chosen.run)
    output.line(f"{chosen.run}: in the trash; `restore {chosen.run}` takes it back")


def restore(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Takes a run back from the trash. Raises UnknownRun, which lists what the trash holds."""
    from kdcore.jobs import api

    try:
        api.restore(workspace, chosen.run)
    except UnknownRun as error:
        there = ", ".join(workspace.trashed()) or "no run"
        raise UnknownRun(f"{error}; it holds {there}") from None
    output.line(f"{chosen.run}: restored")


def stop(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Ends one run, or all and the dispatcher. Raises BadInput, UnknownRun."""
    from kdcore.jobs import api
    from kdcore.report import format

    if chosen.all == bool(chosen.run):
        raise BadInput("stop: give a run id, or --all")
    if chosen.run:
        output.line(f"{chosen.run}: {_request(workspace, chosen.run, 'stop')}")
        return
    stopped = api.stop_all(workspace)
    output.line(f"{format.plural(len(stopped), 'run')} cancelled; the dispatcher has ended")


def _request(workspace: Workspace, run_id: str, wanted: Literal["stop", "cancel", "resume"]) -> str:
    """Asks for it, and returns what will come of that."""
    from kdcore.jobs import api
    from kdcore.workspace.state import SETTLED

    before = api.request(workspace, run_id, "run" if wanted == "resume" else wanted)
    if before in (SETTLED if wanted != "resume" else ("queued", "running")):
        return f"is {before}; cannot {wanted} it"
    if wanted == "resume" and before == "done":
        return "resume requested; finished stages are kept, timing is repeated"
    return f"{wanted} requested"
