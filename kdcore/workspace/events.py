"""The event log of a run: one JSON line per event, in a file that only grows. A bad line spoils no other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired

from pydantic import ValidationError
from typing_extensions import TypedDict

from kdcore.files import Damaged, parse_json
from kdcore.workspace.shapes import Count, Key, Moment, Seconds, Share, validator


class Weights(TypedDict):
    """A worker has begun: nominal seconds of each stage, by key, and of the measuring (`session`)."""

    type: Literal["weights"]
    t: Moment
    weights: dict[Key, Seconds]
    session: Seconds


class StageTold(TypedDict):
    """A stage has come to this state, after so many seconds."""

    type: Literal["stage"]
    t: Moment
    stage: Key
    state: Literal["waiting", "running", "reused", "done", "failed", "stopped"]
    seconds: NotRequired[Seconds]


class Phase(TypedDict):
    """What a stage does beside its training."""

    type: Literal["phase"]
    stage: Key
    phase: str


class Row(TypedDict):
    """An epoch, as in history.jsonl. What was not measured is None."""

    epoch: Count
    step: Count
    loss: float | None
    accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None


class Epoch(Row):
    type: Literal["epoch"]
    stage: Key


class Session(TypedDict):
    """The share of the measuring that is done."""

    type: Literal["session"]
    progress: Share


Event = Weights | StageTold | Phase | Epoch | Session
_SHAPES = {"weights": Weights, "stage": StageTold, "phase": Phase, "epoch": Epoch, "session": Session}


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


class Told(NamedTuple):
    """The content of an event log: events, the byte offset after the last whole line, and how many lines were invalid."""

    events: list[Event]
    offset: int
    skipped: int


def read(path: Path, offset: int = 0) -> Told:
    """The events from a byte offset on. A line that was torn by a kill, or of a type that this version does not know,
    is passed over; one that lacks what its type needs, or has it of another kind, is passed over and counted.

    Raises Damaged where the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return Told([], 0, 0)
    except OSError as error:
        raise Damaged(path, f"cannot be opened: {error.strerror}") from None
    end = data.rfind(b"\n") + 1
    lines = list(_parsed(data[:end]))
    return Told([event for event in lines if event], offset + end, lines.count(None))


def history(path: Path, size: int = -1) -> list[dict[str, Any]]:
    """The rows of a model's `history.jsonl`, or of its first `size` bytes, that tell of an epoch; none without a file."""
    try:
        with path.open("rb") as file:
            data = file.read(size)
    except OSError:
        return []
    return [row for row in map(_value, data.splitlines()) if _fits(Row, row)]


def _parsed(data: bytes) -> Iterator[Event | None]:
    for line in data.splitlines():
        event = _value(line)
        kind = event.get("type") if isinstance(event, dict) else None
        if isinstance(kind, str) and kind in _SHAPES:
            yield event if _fits(_SHAPES[kind], event) else None


def _value(line: bytes) -> Any:
    """None for a line that is no JSON."""
    try:
        return parse_json(line.decode())
    except ValueError:
        return None


def _fits(shape: Any, value: Any) -> bool:
    try:
        validator(shape).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
