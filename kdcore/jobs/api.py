"""What a page or a command may do with runs: submit, steer, rename, delete, measure together."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from filelock import Timeout

from kdcore.files import Damaged, held, lock, require_locks, write_json
from kdcore.jobs import limits
from kdcore.jobs.mending import mend
from kdcore.jobs.process import code, end_worker, start
from kdcore.measure.robustness import MOST_IMAGES
from kdcore.plan.plan import plan
from kdcore.plan.rules import measuring
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe, parse
from kdcore.report.layers import inside
from kdcore.search import smallest
from kdcore.search.request import Search
from kdcore.workspace import access, shapes
from kdcore.workspace.library import Library, deployed
from kdcore.workspace.plans import Plan
from kdcore.workspace.shapes import KINDS
from kdcore.workspace.state import SETTLED, ended, files, process, state
from kdcore.workspace.workspace import StillRunning, Workspace


class Queue(NamedTuple):
    """Who serves the queue, and the ids of the runs in it: the running one first."""

    dispatcher: bool
    runs: list[str]


def submit(workspace: Workspace, recipe: Recipe, preset: str | None = None) -> str:
    """Plans the Recipe, puts it at the end of the queue and returns the run's id. Raises RecipeError."""
    files = {
        "recipe.json": recipe.document(),
        "plan.json": plan(recipe, workspace).document(),
        "meta.json": _meta(recipe.name, preset),
    }
    return _enter(workspace, files)


def _enter(workspace: Workspace, files: dict[str, Any]) -> str:
    """Puts a run into the queue, in the name of whoever acts. Raises Refused."""
    person = access.who()
    access.require(access.to_launch() or limits.refusal(workspace, person))
    if path := limits.outside(workspace, files["recipe.json"]):
        outside = "is outside the folders that a class may read: upload the file, or ask the lecturer"
        raise access.Refused(f"{path} {outside}")
    if person.id:
        files["meta.json"] |= _place(workspace, person.id) | {"owner": person.id}
    return workspace.new_run(files)


def _place(workspace: Workspace, owner: str | None) -> dict[str, int]:
    """Where a run of this owner comes in the queue."""
    return {"round": limits.turn(workspace, owner, queue(workspace).runs)} if owner else {}


def _own(workspace: Workspace, run_id: str) -> None:
    """Raises Refused where whoever acts may not change the run."""
    try:
        owner = shapes.meta(workspace.run(run_id)).get("owner")
    except Damaged:
        owner = None
    access.require(access.to_change(owner))


def search(workspace: Workspace, asked: Search) -> str:
    """Queues a search; returns its run's id. Raises RecipeError, also for limits that no candidate can meet."""
    first = asked.recipe.model_copy(update={"compress": ()})
    planned = plan(first, workspace)
    smallest.check(workspace, asked)
    files = {
        "recipe.json": asked.document(),
        "plan.json": _measuring(planned),
        "meta.json": _meta(f"Search: {asked.recipe.name}"[:120], "search"),
    }
    return _enter(workspace, files)


def bench(workspace: Workspace, run_ids: Iterable[str], seconds: float = 20.0, *, openvino: bool = False) -> str:
    """Queues a timing session over the variants of these runs, with `openvino` in that runtime too; returns its run's
    id. Raises RecipeError, UnknownRun."""
    if found := list(measuring.problems("openvino", openvino)):
        raise RecipeError(found)
    plans = _with_models(workspace, run_ids)
    if len({tuple(found.dataset["shape"]) for found in plans.values()}) > 1:
        raise RecipeError(
            [Problem("runs", "the runs use inputs of different shapes, so they cannot be timed together")]
        )
    files = {
        "recipe.json": {"bench": list(plans), "seconds": seconds, "openvino": openvino},
        "plan.json": _measuring(next(iter(plans.values()))),
        "meta.json": _meta(f"Timing {len(plans)} run{'s' * (len(plans) > 1)} together", "bench"),
    }
    return _enter(workspace, files)


def robustness(workspace: Workspace, run_ids: Iterable[str], images: int = MOST_IMAGES) -> str:
    """Queues measuring the accuracy of all variants of these runs on at most `images` corrupted test images.

    Variants of which it is known are not measured again. Returns the id of the run that measures. Raises RecipeError,
    UnknownRun.
    """
    plans = _with_models(workspace, run_ids)
    if images < 1:
        raise RecipeError([Problem("images", "at least one example is needed")])
    for run_id, found in plans.items():
        if not (workspace.dataset(found.dataset["fingerprint"]) / "info.json").is_file():
            message = f"{run_id}: its test examples are no longer in the workspace; run a duplicate to restore them"
            raise RecipeError([Problem("runs", message)])
    named = [shapes.meta(workspace.run(run_id))["name"] for run_id in plans]
    of = named[0] if len(named) == 1 else f"{len(named)} runs"
    files = {
        "recipe.json": {"robustness": list(plans), "images": images},
        "plan.json": _measuring(next(iter(plans.values()))),
        "meta.json": _meta(f"Robustness of {of}"[:120], "robustness"),
    }
    return _enter(workspace, files)


def _with_models(workspace: Workspace, run_ids: Iterable[str]) -> dict[str, Plan]:
    """The plans of these runs by id, each of which has a finished model. Raises RecipeError, UnknownRun, Damaged."""
    plans = {run_id: workspace.plan(run_id) for run_id in run_ids}
    if not plans or any(not found.variants for found in plans.values()):
        raise RecipeError([Problem("runs", "choose runs with models; timing sessions have none")])
    unfinished = [run_id for run_id, found in plans.items() if not _any_model(workspace, found)]
    if unfinished:
        raise RecipeError([Problem("runs", f"{', '.join(unfinished)}: no finished model yet")])
    return plans


def sensitivity(workspace: Workspace, run_id: str, variant: str, kind: str) -> str:
    """Queues measuring the sensitivity of each layer of a run's variant to `kind` (prune, filters or quantize).

    Returns the id of the run that measures. Raises RecipeError, UnknownRun.
    """
    Library(workspace).network(run_id, variant)
    files = {
        "recipe.json": {"sensitivity": {"run": run_id, "variant": variant, "kind": kind}},
        "plan.json": _measuring(workspace.plan(run_id)),
        "meta.json": _meta(f"Layer sensitivity of {variant}"[:120], "sensitivity"),
    }
    return _enter(workspace, files)


def layer_times(workspace: Workspace, chosen: Sequence[tuple[str, str]]) -> str:
    """Queues profiling the layers of these (run, variant) pairs, one file after the other.

    Returns the id of the run that measures. Raises RecipeError, UnknownRun.
    """
    for run_id, variant in chosen:
        inside(workspace, run_id, variant)
    names = " and ".join(dict.fromkeys(variant for _, variant in chosen))
    files = {
        "recipe.json": {"layer_times": [{"run": run_id, "variant": variant} for run_id, variant in chosen]},
        "plan.json": _measuring(workspace.plan(chosen[0][0])),
        "meta.json": _meta(f"Layer times of {names}"[:120], "layer_times"),
    }
    return _enter(workspace, files)


def _any_model(workspace: Workspace, found: Plan) -> bool:
    return bool(deployed(workspace, [variant.keys[0] for variant in found.variants]))


def _measuring(other: Plan) -> dict[str, Any]:
    """The plan of a run that measures models of this other one."""
    return Plan(dataset=other.dataset, precision=other.precision, stages=(), variants=()).document()


def _meta(name: str, preset: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "notes": "",
        "tags": [],
        "preset": preset,
        "created": time.time(),
        "order": time.time(),
        "requested": "run",
        "turn": 1,
        "code": code(),
    }


def _new_meta(asked: shapes.Asked) -> dict[str, Any]:
    """The meta.json of a run that has lost it."""
    kind = shapes.kind(asked)
    return _meta(asked.get("name", KINDS[kind].description.capitalize() if kind else "A run"), kind)


def _change(workspace: Workspace, run_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    folder = workspace.run(run_id)
    with lock(folder / "meta.lock"):
        changed = change(dict(shapes.meta(folder)))
        write_json(folder / "meta.json", changed)
    return changed


def request(workspace: Workspace, run_id: str, wanted: shapes.Request) -> str:
    """Asks for a run to be stopped (what is finished is kept and measured), cancelled, or resumed with "run".

    Returns the state that it was in. Asking for what is already so changes nothing; a run that is done, asked to run,
    runs again: finished stages are reused, and it is timed again. One that is damaged can be asked to run
    where what is damaged can be made again. A worker that does not hear a cancel is ended by the dispatcher, or without
    one by this call, in two seconds. Raises UnknownRun, Damaged, Refused.
    """
    folder = workspace.run(run_id)
    _own(workspace, run_id)
    if wanted == "run":
        access.require(limits.refusal(workspace, access.who()))
    if wanted == "run" and not held(folder / "lock"):
        mend(folder, _new_meta)
    now = state(folder)
    if wanted != "run" and now in SETTLED:
        return now

    def change(meta: dict[str, Any]) -> dict[str, Any]:
        if wanted != "run":
            return meta | {"requested": wanted}
        turn = meta["turn"] + 1 if now in SETTLED else meta["turn"]
        asked = {"requested": "run", "turn": turn, "order": time.time(), "code": code()}
        return meta | asked | _place(workspace, meta.get("owner"))

    if wanted != "run" or now not in ("queued", "running"):
        _change(workspace, run_id, change)
    if wanted in ("cancel", "delete") and not held(workspace.root / "dispatcher.lock"):
        end_worker(workspace.run(run_id))
    return now


def rename(workspace: Workspace, run_id: str, name: str) -> None:
    """Raises RecipeError when the name is empty or longer than 120 characters, UnknownRun, Refused."""
    _own(workspace, run_id)
    name = name.strip()
    if not 1 <= len(name) <= 120:
        raise RecipeError([Problem("name", "needs 1 to 120 characters")])
    _change(workspace, run_id, lambda meta: meta | {"name": name})


def annotate(workspace: Workspace, run_id: str, *, notes: str | None = None, tags: Iterable[str] | None = None) -> None:
    """Sets notes (at most 10,000 characters are kept) and tags (at most 20, of 40 characters). Raises UnknownRun,
    Refused."""
    _own(workspace, run_id)
    changed: dict[str, Any] = {}
    if notes is not None:
        changed["notes"] = notes[:10_000]
    if tags is not None:
        changed["tags"] = list(dict.fromkeys(tag.strip()[:40] for tag in tags if tag.strip()))[:20]
    _change(workspace, run_id, lambda meta: meta | changed)


def reorder(workspace: Workspace, run_id: str, position: int) -> None:
    """Moves a waiting run to `position` (0 is the next to run) among the waiting ones. Raises UnknownRun,
    Refused."""
    access.require(access.to_manage())
    waiting = [other for other in queue(workspace).runs if other != run_id and state(workspace.run(other)) == "queued"]
    waiting.insert(position, run_id)
    places = sorted(shapes.place(shapes.meta(workspace.run(other))) for other in waiting)
    for other, place in zip(waiting, places, strict=True):
        _change(workspace, other, lambda meta, place=place: shapes.placed(meta, place))  # type: ignore[misc]


def delete(workspace: Workspace, run_id: str) -> None:
    """Moves the run to the trash, ending its worker first, whatever that does. Its models stay for other runs.

    Raises UnknownRun, StillRunning, Refused.
    """
    folder = workspace.run(run_id)
    _own(workspace, run_id)
    if held(folder / "lock"):
        with contextlib.suppress(Damaged):
            _change(workspace, run_id, lambda meta: meta | {"requested": "delete"})
    end_worker(folder)  # or the job that waits to become it
    try:
        with lock(folder / "lock"):
            pass
    except Timeout:
        raise StillRunning(f"{run_id}: its worker cannot be ended from {socket.gethostname()}") from None
    workspace.discard(run_id)


def restore(workspace: Workspace, run_id: str) -> None:
    """Takes a run back from the trash; one that was at work when it was deleted is cancelled. Raises UnknownRun,
    Refused."""
    access.require(may_restore(workspace, run_id))
    workspace.restore(run_id)
    with contextlib.suppress(Damaged):
        if shapes.meta(workspace.run(run_id)).get("requested") == "delete":
            _change(workspace, run_id, lambda meta: meta | {"requested": "cancel"})


def may_restore(workspace: Workspace, run_id: str) -> str:
    """Why whoever acts may not take a run back from the trash; empty where they may."""
    try:
        folder = workspace.discarded(run_id)
        return access.to_change(shapes.meta(folder).get("owner") if folder else None)
    except Damaged:
        return access.to_change(None)


def recipe(workspace: Workspace, run_id: str) -> Recipe:
    """The Recipe of a run. Raises UnknownRun, Damaged, and RecipeError for one of KINDS, which have none."""
    document: Any = shapes.asked(workspace.run(run_id))
    if kind := shapes.kind(document):
        raise RecipeError([Problem("run", f"is {KINDS[kind].description}; it has no recipe")])
    if lacks := workspace.plan(run_id).lacks():
        raise RecipeError([Problem("run", lacks)])
    return parse(document)


def queue(workspace: Workspace) -> Queue:
    """The queue as it is now."""
    waiting = []
    for run_id in workspace.run_ids():
        place = f"{workspace.runs}/{run_id}"
        try:
            if ended(place):
                continue
            folder = Path(place)
            known = files(folder)
            now, order = state(folder, known), shapes.place(known.meta)
        except (Damaged, OSError):
            continue  # the index lists it as damaged
        if now not in SETTLED:
            waiting.append((now == "queued", order, run_id))
    return Queue(held(workspace.root / "dispatcher.lock"), [run_id for _, _, run_id in sorted(waiting)])


def serving(workspace: Workspace) -> shapes.Serving | None:
    """What the last dispatcher wrote about itself; None where that is not known."""
    try:
        return shapes.serving(workspace.root)
    except Damaged:
        return None


def ensure_dispatcher(workspace: Workspace) -> None:
    """Sees to it that somebody serves the queue. Raises NoLocks."""
    require_locks(workspace.ensure().root)
    if not held(workspace.root / "dispatcher.lock"):
        start(workspace, "dispatch")


def stop_all(workspace: Workspace) -> list[str]:
    """Cancels every run in the queue and ends the dispatcher; returns the ids of the runs."""
    runs = queue(workspace).runs
    for run_id in runs:
        request(workspace, run_id, "cancel")
    if held(workspace.root / "dispatcher.lock") and (now := serving(workspace)):
        with contextlib.suppress(psutil.NoSuchProcess):
            if dispatcher := process({**now, "host": socket.gethostname()}):
                dispatcher.terminate()
    for run_id in runs:
        end_worker(workspace.run(run_id))
    return runs
