"""The commands that keep the workspace in order: `reindex`, `gc`, `doctor`."""

from __future__ import annotations

import argparse

from kdcore.cli import output
from kdcore.cli.command import DONE, FAILED, Add, json_option
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds the commands to the command line."""
    command("reindex", reindex, "rebuild the index from the files")
    command("gc", gc, "delete unreferenced models and empty the trash")
    json_option(command("doctor", doctor, "check this machine and the workspace"))


def reindex(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Rebuilds the index."""
    from kdcore.workspace.index import Index

    index = Index(workspace)
    index.rebuild()
    rows = index.runs()
    damaged = sum(row.damaged is not None for row in rows)
    output.line(f"{len(rows)} runs in the index" + (f", {damaged} of them damaged: see doctor" if damaged else ""))


def gc(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Removes what no run needs, and says how much that was."""
    from kdcore.jobs.mending import way_out
    from kdcore.report.format import size
    from kdcore.workspace.gc import collect

    freed = collect(workspace)
    output.line(f"removed {freed.models} models and {freed.trashed_runs} deleted runs: {size(freed.bytes)}")
    for run_id in freed.unknown:
        reason = "its plan cannot be read, so all models are kept"
        output.complain(f"{run_id}: {reason}. {way_out(run_id, 'plan.json')}; then run gc again")


def doctor(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """DONE when all is well, else FAILED; prints what was found."""
    from kdcore.jobs.doctor import checks

    found = checks(workspace)
    if chosen.json:
        output.document([check._asdict() for check in found])
    else:
        from kdcore.cli import console

        console.listing(["check", "", "what was found"], [[c.name, "ok" if c.ok else "NO", c.found] for c in found])
    return DONE if all(check.ok for check in found) else FAILED
