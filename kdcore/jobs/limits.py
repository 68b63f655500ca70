"""What each person of a class has used, what is left of it, and whose turn it is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kdcore.files import Damaged
from kdcore.paths import data_home
from kdcore.report import format
from kdcore.workspace import access, gc, settings, shapes
from kdcore.workspace.access import Person
from kdcore.workspace.index import Index, RunRow
from kdcore.workspace.settings import People
from kdcore.workspace.state import SETTLED
from kdcore.workspace.workspace import UnknownRun, Workspace

DAY = 86400.0


class Used(NamedTuple):
    """`queued`: runs that wait or work. `seconds`: of runs in the last 24 hours. `bytes`: on disk, as `disk` counts."""

    queued: int
    seconds: float
    bytes: int


def used(workspace: Workspace, person: str) -> Used:
    """What the person of this id has used."""
    index = Index(workspace)
    index.sync()
    rows = index.runs()
    own = [row for row in rows if row.owner == person]
    waiting = sum(row.state not in SETTLED for row in own)
    return Used(waiting, sum(map(_seconds, own)), disk(workspace, person, rows))


def refusal(workspace: Workspace, person: Person) -> str:
    """Why this person may start nothing more just now; empty where they may. Those who manage have no limits."""
    if not person.id or person.role == "manage":
        return ""
    return over(limits(workspace), used(workspace, person.id))


def over(most: People, now: Used) -> str:
    """Which limit has been reached, and what helps; empty where none."""
    if most.queued is not None and now.queued >= most.queued:
        runs = format.plural(now.queued, "run")
        return f"You have {runs} in the queue, which is the limit: wait for one to end, or cancel one"
    if most.hours is not None and now.seconds >= most.hours * 3600:
        return (
            f"Your runs have worked for {format.duration(now.seconds)} in the last 24 hours; the limit is "
            f"{format.duration(most.hours * 3600)}: start again later, or ask the lecturer for more"
        )
    if most.gigabytes is not None and now.bytes >= most.gigabytes * 1e9:
        most_bytes = format.size(most.gigabytes * 1e9)
        return (
            f"Your runs and uploads take {format.size(now.bytes)}; the limit is {most_bytes}: delete runs that you no "
            "longer need, then ask the lecturer for a clean-up"
        )
    return ""


def limits(workspace: Workspace) -> People:
    """Those of the settings; the usual ones where they cannot be read."""
    try:
        return settings.read(workspace).people
    except Damaged:
        return People()


def disk(workspace: Workspace, person: str, rows: Iterable[RunRow]) -> int:
    """Bytes of the person's runs, of what they uploaded, and of the models that no other person's run names."""
    named: Counter[str] = Counter()
    own: set[str] = set()
    folders = [workspace.root / "people" / person]
    for row in rows:
        try:
            models = gc.named_by(workspace, row.id)
        except (Damaged, UnknownRun):
            continue
        named.update(models)
        if row.owner == person:
            own |= models
            named.subtract(models)
            folders.append(workspace.runs / row.id)
    folders += [workspace.model(key) for key in own if not named[key]]
    return sum(map(gc.bytes_of, folders))


def turn(workspace: Workspace, owner: str, active: Iterable[str]) -> int:
    """In which round of turns a new run of this owner comes, with these runs in the queue.

    Start-time fair queueing (Goyal, Vin & Cheng 1996) with runs of equal length: each person has one run a round, and
    who comes later joins the round that is being worked at.
    """
    rounds = [(known[0], known[1]) for run_id in active if (known := _turn_of(workspace, run_id))]
    now = min((place for _, place in rounds), default=0)
    return max([now, *(place + 1 for one, place in rounds if one == owner)])


def outside(workspace: Workspace, document: Any) -> str:
    """A path in a Recipe's document that leads out of what a class may read: uploads and prepared data sets."""
    if access.who().role == "manage":
        return ""
    return next((path for path in _paths(document) if not _inside(workspace, Path(path).expanduser().resolve())), "")


def _inside(workspace: Workspace, path: Path) -> bool:
    if any(path.is_relative_to(place) for place in (workspace.root / "uploads", data_home())):
        return True
    people = workspace.root / "people"
    return path.is_relative_to(people) and path.relative_to(people).parts[1:2] == ("uploads",)


def _paths(document: Any, name: str = "") -> Iterable[str]:
    """What stands where a path belongs, or looks like one."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            yield from _paths(value, str(key))
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _paths(value, name)
    elif isinstance(document, str) and document and name not in ("name", "notes") and _leads(document, name):
        yield document


def _leads(text: str, name: str) -> bool:
    return "path" in name or text[0] in "/~" or Path(text).is_absolute()


def _turn_of(workspace: Workspace, run_id: str) -> tuple[str, int] | None:
    try:
        meta = shapes.meta(workspace.runs / run_id)
    except Damaged:
        return None
    return meta.get("owner", ""), meta.get("round", 0)


def _seconds(row: RunRow) -> float:
    """That the run has worked in the last 24 hours."""
    if not row.started:
        return 0.0
    now = time.time()
    end = row.finished or (now if row.state not in SETTLED else row.started)
    return max(0.0, end - max(row.started, now - DAY))
