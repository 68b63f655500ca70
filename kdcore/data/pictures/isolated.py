"""The parent's side of the decoding process: starts it, passes its progress on, ends it when it hangs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from kdcore.data.pictures.names import Refused
from kdcore.data.types import Progress
from kdcore.paths import CHECKOUT

STALL_SECONDS = 60.0  # for one picture
LISTING_SECONDS = 600.0  # until the first one
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread reserves address space


def decode(request: dict[str, Any], tell: Callable[[Progress], None], stall: float = STALL_SECONDS) -> dict[str, Any]:
    """Carries the request out in a process of its own and returns its result. Raises Refused."""
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "kdcore.data.pictures.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
    )
    assert process.stdin
    assert process.stdout
    lines: queue.Queue[bytes] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # a child that is dead already is reported by _listen
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()  # and it stays open: its end shows the child that we are gone
        return _listen(lines, tell, stall)
    finally:
        process.kill()
        reader.join()
        process.communicate()


def _read(stream: IO[bytes], lines: queue.Queue[bytes]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(b"")


def _listen(lines: queue.Queue[bytes], tell: Callable[[Progress], None], stall: float) -> dict[str, Any]:
    """Follows the child to its result. Raises Refused."""
    file, patience = "the list of files", LISTING_SECONDS
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            raise Refused(f"{file} takes longer than {patience:.0f} s: leave it out") from None
        if not line:
            raise Refused(f"decoding failed at {file}, out of memory or crashed: leave it out")
        patience = stall
        message = json.loads(line)
        if "refused" in message:
            raise Refused(message["refused"])
        if "result" in message:
            return message["result"]
        file = message["file"]
        tell(Progress(message["doing"], message["done"], message["total"], "pictures"))
