"""A further worker of a search: tries candidates of the same study, here or on a machine that shares the workspace."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from kdcore.execute import joined
from kdcore.execute.run import Stopped
from kdcore.search.request import parse
from kdcore.search.trying import Trying
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace

log = logging.getLogger("kdcore.search")

EVERY_SECONDS = 0.5


def join(workspace: Workspace, folder: Path, document: dict[str, Any]) -> None:
    """Tries candidates until the search has enough or its worker has gone. What it finds goes to the study: the worker
    alone writes to the other files of the run."""

    worker = joined.leader(folder)

    def stay() -> None:
        if worker is None or not joined.wanted(folder, worker):
            raise Stopped(keep=False)

    try:
        while not (found := shapes.search(folder)) or not found["target"]:
            stay()
            time.sleep(EVERY_SECONDS)
        trying = Trying(workspace, folder, parse(document["search"]), stay, lambda keys: None, alone=False)
        trying.told = found["reference"]
        while trying.tried() < found["target"]:
            stay()
            trying.one()
    except Stopped:
        log.info("the search's worker has gone")
