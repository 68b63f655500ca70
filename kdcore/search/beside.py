"""A further worker of a search: tries candidates of the same study, here or on a machine that shares the workspace."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcore.execute import joined
from kdcore.execute.run import Stopped
from kdcore.files import write_json
from kdcore.search.request import parse
from kdcore.search.trying import Trying
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace

log = logging.getLogger("kdcore.search")

EVERY_SECONDS = 0.5


def join(workspace: Workspace, folder: Path, document: dict[str, Any]) -> None:
    """Tries candidates until the search has enough or its worker has gone. What it finds goes to the study: the worker
    alone writes to the other files of the run, but for one that keeps this process's models from a clean-up."""
    worker = joined.leader(folder)
    built: set[str] = set()
    place = folder / shapes.BUILDING / f"{socket.gethostname()}-{os.getpid()}.json"

    def announce(keys: Sequence[str]) -> None:
        built.update(keys)
        place.parent.mkdir(exist_ok=True)
        write_json(place, {"keys": sorted(built)})

    def stay() -> None:
        if worker is None or not joined.wanted(folder, worker):
            raise Stopped(keep=False)

    try:
        while not (found := shapes.search(folder)) or not found["target"]:
            stay()
            time.sleep(EVERY_SECONDS)
        trying = Trying(workspace, folder, parse(document["search"]), stay, announce, alone=False)
        trying.described = found["reference"]
        while trying.tried() < found["target"]:
            stay()
            trying.one()
    except Stopped:
        log.info("the search's worker has gone")
