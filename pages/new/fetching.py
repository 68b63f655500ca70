"""A data set that is being fetched: by a process of its own, which outlives the page and can be ended."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import psutil

from kdcore.data import fetch
from kdcore.data.places import place
from kdcore.files import read_json, write_json
from kdcore.jobs import limits
from kdcore.jobs.process import start as start_process
from kdcore.registry import Options
from kdcore.workspace import access
from pages.shared import store


def status(source: Options) -> fetch.Status:
    """Where the data set stands; "fetching" from the very click on. Raises RecipeError."""
    found = fetch.status(source)
    return found._replace(state="fetching") if found.state == "missing" and _process(source) else found


def start(source: Options) -> None:
    """Starts fetching, unless a process is at it already. Raises RecipeError, also Refused."""
    access.require(access.to_launch())
    if path := limits.outside(store.workspace(), source.model_dump(mode="json")):
        raise access.Refused(f"{path} is outside the folders that a class may read")
    if _process(source):
        return
    process = start_process(store.workspace().ensure(), "fetch", json.dumps(source.model_dump(mode="json")))
    _note(source).parent.mkdir(parents=True, exist_ok=True)
    write_json(_note(source), {"pid": process.pid, "created": psutil.Process(process.pid).create_time()})


def cancel(source: Options) -> None:
    """Ends the fetching; what was downloaded is kept, and the next one goes on there. Raises Refused."""
    access.require(access.to_launch())
    found = _process(source)
    if found is None:
        return
    for process in [*found.children(recursive=True), found]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _process(source: Options) -> psutil.Process | None:
    """The living process that this page, or an earlier one, started for the data set."""
    note = read_json(_note(source), None)
    with contextlib.suppress(psutil.Error):
        if note and (found := psutil.Process(note["pid"])).create_time() == note["created"]:
            return found if found.status() != psutil.STATUS_ZOMBIE else None
    return None


def _note(source: Options) -> Path:
    digest = hashlib.sha256(str(place(source)).encode()).hexdigest()[:16]
    return store.workspace().cache / "fetching" / f"{digest}.json"
