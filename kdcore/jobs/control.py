"""What a worker hears: whether somebody wants its run to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from kdcore.files import Damaged
from kdcore.jobs.heartbeat import Heartbeat
from kdcore.workspace import shapes

EVERY_SECONDS = 0.5
PATIENCE_SECONDS = 1.0  # after a cancel is heard; then the worker is ended where it stands


class StopSignal:
    """Reads `requested` twice a second from a thread, also while data loads; the heartbeat runs there as well.

    `on_deadline` is called from that thread when the run was cancelled and the worker has not ended
    by itself within a second.
    """

    def __init__(self, folder: Path, on_deadline: Callable[[], None]):
        self._folder = folder
        self._heartbeat = Heartbeat(folder)
        self._on_deadline = on_deadline
        self._requested: shapes.Request = "run"
        self._kept = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises Stopped when the run is to end. A stop that keeps what is finished raises only once."""
        from kdcore.execute.run import Stopped

        if self._requested in ("cancel", "delete"):
            raise Stopped(keep=False)
        if self._requested == "stop" and not self._kept:
            self._kept = True
            raise Stopped(keep=True)

    def finish(self) -> None:
        """Ends the listening; after it returns, `on_deadline` is not called any more."""
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        heard = None
        while not self._over.wait(EVERY_SECONDS if heard is None else 0.05):
            self._heartbeat.beat()
            try:
                self._requested = shapes.meta(self._folder)["requested"]
            except Damaged:
                continue
            if self._requested in ("cancel", "delete"):
                heard = heard or time.monotonic()
                if time.monotonic() - heard > PATIENCE_SECONDS and not self._over.is_set():
                    self._on_deadline()
                    return
