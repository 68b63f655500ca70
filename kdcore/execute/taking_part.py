"""One of the processes that train a network together. Started by `kdcore.execute.crew`, whose order it reads."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from kdcore import machine
from kdcore.data.dataset import load
from kdcore.execute import crew
from kdcore.execute.builder import Builder
from kdcore.files import write_json
from kdcore.problems import explained
from kdcore.recipe import Data
from kdcore.train.team import joined
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace


def take_part(order: crew.Order) -> None:
    """Returns when the training is over."""
    data, meeting = Data.model_validate(order.data), Path(order.meeting)
    builder = Builder(Workspace(Path(order.workspace)), load(data.source), data, order.files)
    torch.set_num_threads(max(1, machine.threads() // order.devices))

    def tell(row: dict[str, Any]) -> None:
        if not order.rank:
            with crew.rows_file(meeting).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    with joined(order.rank, order.devices, meeting / "rendezvous", builder.device) as team:
        builder.take_part(Stage.model_validate(order.stage), team, on_epoch=tell)


def main() -> int:
    """The exit code: 0 where the training is over."""
    order = crew.Order(**json.loads(sys.stdin.readline() or sys.exit(1)))
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    try:
        take_part(order)
    except BaseException as error:
        traceback.print_exception(error)
        facts = {"time": time.time(), "error": explained(error)}
        write_json(crew.failure_file(Path(order.meeting), order.rank), facts)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # without waiting for the others, as the end of the process group would
    return 0


def _end_with_the_worker() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not by sys.stdin, whose lock the interpreter wants when it ends
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
