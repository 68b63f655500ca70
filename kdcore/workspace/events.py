"""What a run tells: one JSON line an event, in a file that only grows."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class EventLog:
    """Appends events to `events.jsonl`. The worker that holds the run's lock is its only writer."""

    def __init__(self, path: Path):
        self.path = path
        _mend(path)
        self._file = path.open("a", encoding="utf-8")
        self._turn = threading.Lock()

    def __call__(self, kind: str, **facts: Any) -> None:
        """Writes one event: its time, its type, and these facts. Threads may call."""
        line = json.dumps({"t": time.time(), "type": kind, **facts}, allow_nan=False) + "\n"
        with self._turn:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def _mend(path: Path) -> None:
    """Ends a line that was torn by a kill, so that the next event does not stick to it."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")


def read(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Events from a byte offset on, and the offset after the last whole line. Torn lines are passed over."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], 0
    end = data.rfind(b"\n") + 1
    return list(_parsed(data[:end])), offset + end


def history(path: Path, size: int = -1) -> list[dict[str, Any]]:
    """The rows of a model's `history.jsonl`, or of its first `size` bytes; none where there is no file."""
    try:
        with path.open("rb") as file:
            return [json.loads(line) for line in file.read(size).splitlines() if line.endswith(b"}")]
    except FileNotFoundError:
        return []


def _parsed(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "type" in event:
            yield event
