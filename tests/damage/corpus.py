"""Named ways in which a file can be damaged: each takes the path of a whole file and leaves it damaged.

Everything is made from fixed seeds and the file's own content, so a failure repeats. No torch.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

Damage = Callable[[Path], None]

HUGE = 2**70  # beyond SQLite's 64 bits
DEEP = 100_000  # beyond what json and pydantic can nest


def _gone(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _folder(path: Path) -> None:
    _gone(path)
    path.mkdir()
    (path / "inside").write_text("x")


def _half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _flipped(path: Path) -> None:
    """64 bytes in the middle are inverted; the size stays."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    for place in range(max(0, middle - 32), min(len(content), middle + 32)):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def _bytes(content: bytes) -> Damage:
    def damage(path: Path) -> None:
        path.write_bytes(content)

    return damage


def _text(content: str) -> Damage:
    return _bytes(content.encode())


def _each_field(value: Any) -> Damage:
    """Every field of the document but its schema has this value."""

    def damage(path: Path) -> None:
        document = json.loads(path.read_text("utf-8"))
        fields = {name: old if name == "schema" else value for name, old in document.items()}
        path.write_text(json.dumps(fields), "utf-8")

    return damage


def _innermost(value: Any) -> Damage:
    """Every number, text and null of the document, however deep, has this value; its shape and schema stay."""

    def within(old: Any, name: str = "") -> Any:
        if isinstance(old, dict):
            return {key: within(one, key) for key, one in old.items()}
        if isinstance(old, list):
            return [within(one) for one in old]
        return old if name == "schema" else value

    def damage(path: Path) -> None:
        path.write_text(json.dumps(within(json.loads(path.read_text("utf-8")))), "utf-8")

    return damage


def _renamed(path: Path) -> None:
    """Paths stand where keys of models and names of fields should."""

    def within(old: Any) -> Any:
        if isinstance(old, dict):
            return {("../../" + key if len(key) == 64 else key): within(one) for key, one in old.items()}
        if isinstance(old, list):
            return [within(one) for one in old]
        return "../../../etc/passwd" if isinstance(old, str) and len(old) == 64 else old

    path.write_text(json.dumps(within(json.loads(path.read_text("utf-8")))), "utf-8")


def _with_schema(value: Any) -> Damage:
    def damage(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"schema": value}), "utf-8")

    return damage


def _without_fields(path: Path) -> None:
    path.write_text('{"schema": 1}', "utf-8")


def _one_bit(path: Path) -> None:
    """A digit becomes another one, so that JSON stays JSON."""
    content = bytearray(path.read_bytes())
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    content[digits[len(digits) // 2]] ^= 1
    path.write_bytes(content)


BINARY_DAMAGES: dict[str, Damage] = {
    "cut to half": _half,
    "empty": _bytes(b""),
    "flipped bytes": _flipped,
    "gone": _gone,
    "a folder": _folder,
}

# Files whose hash is known: the smallest change, and another sound document, are damages too.
MODEL_DAMAGES: dict[str, Damage] = {**BINARY_DAMAGES, "one bit": _one_bit, "another document": _text("[1, null]\n")}

JSON_DAMAGES: dict[str, Damage] = {
    **BINARY_DAMAGES,
    "blanks": _text(" \n"),
    "no JSON": _text("{half of"),
    "no UTF-8": _bytes(b'{"schema": 1, "name": "\xff\xfe"}'),
    "null": _text("null"),
    "a number": _text("5"),
    "a text": _text('"text"'),
    "a list": _text('[{"schema": 1}]'),
    "no fields": _without_fields,
    "newer schema": _with_schema(9),
    "null schema": _with_schema(None),
    "text schema": _with_schema("1"),
    "list schema": _with_schema([1]),
    "lists nested deep": _text("[" * DEEP + "]" * DEEP),
    "fields nested deep": _text('{"schema": 1, "stages": ' + '{"a": ' * DEEP + "1" + "}" * (DEEP + 1)),
    "a number of 5,000 digits": _text('{"schema": 1, "turn": ' + "9" * 5000 + "}"),
    "NaN": _text('{"schema": 1, "turn": NaN, "created": Infinity}'),
    "null fields": _each_field(None),
    "list fields": _each_field([[]]),
    "negative fields": _each_field(-1),
    "huge fields": _each_field(HUGE),
    "text fields": _each_field("../../../etc/passwd"),
    "endless fields": _each_field(float("inf")),
    "null inside": _innermost(None),
    "lists inside": _innermost([]),
    "negative inside": _innermost(-1),
    "huge inside": _innermost(HUGE),
    "half a character inside": _innermost("\ud800"),
    "paths as keys": _renamed,
}


def _with_events(**changes: Any) -> Damage:
    """Appends every kind of event with these fields changed, or left out where the value is `...`."""

    def damage(path: Path) -> None:
        with path.open("a", encoding="utf-8") as file:
            for event in _events():
                changed = {name: value for name, value in (event | changes).items() if value is not ...}
                file.write(json.dumps(changed) + "\n")

    return damage


def _events() -> Iterator[dict[str, Any]]:
    key = "a" * 64
    yield {"t": 1.0, "type": "weights", "weights": {key: 2.0}, "session": 1.0}
    for state in ("waiting", "running", "reused", "done", "failed"):
        yield {"t": 1.0, "type": "stage", "stage": key, "state": state, "seconds": 1.0}
    yield {"t": 1.0, "type": "phase", "stage": key, "phase": "validation"}
    row = {"epoch": 1, "step": 10, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    yield {"t": 1.0, "type": "epoch", "stage": key, **row}
    yield {"t": 1.0, "type": "session", "state": "running", "progress": 0.5}


def _every_field(value: Any) -> Damage:
    def damage(path: Path) -> None:
        names = {name for event in _events() for name in event} - {"type"}
        _with_events(**dict.fromkeys(names, value))(path)

    return damage


def _line(content: bytes) -> Damage:
    def damage(path: Path) -> None:
        with path.open("ab") as file:
            file.write(content + b"\n")

    return damage


EVENT_DAMAGES: dict[str, Damage] = {
    **BINARY_DAMAGES,
    "lacks every field": _every_field(...),
    **{
        f"lacks {name}": _with_events(**{name: ...})
        for name in ("t", "stage", "state", "seconds", "weights", "session", "phase", "step", "epoch", "progress")
    },
    "null": _every_field(None),
    "lists": _every_field([]),
    "objects": _every_field({"a": {"b": 1}}),
    "paths": _every_field("../../../etc/passwd"),
    "negative": _every_field(-1),
    "huge": _every_field(HUGE),
    "endless": _every_field(float("inf")),
    "not a number": _every_field(float("nan")),
    "texts": _every_field("much"),
    "half a character": _every_field("\ud800"),
    "yes and no": _every_field(True),
    "unknown type": _with_events(type="surprise"),
    "type is a list": _with_events(type=[]),
    "type is null": _with_events(type=None),
    "weights of other kinds": _with_events(weights={"a" * 64: "heavy", "b": None, "c": [], "d": -1, "e": HUGE}),
    "weights of nothing": _with_events(weights={}),
    "no JSON": _line(b"{half of"),
    "no UTF-8": _line(b'{"type": "stage", "stage": "\xff"}'),
    "zeros": _line(b"\0" * 4096),
    "a list": _line(b"[1, 2]"),
    "a number of 5,000 digits": _line(b'{"t": 1, "type": "session", "progress": ' + b"9" * 5000 + b"}"),
    "nested deep": _line(b'{"type": ' + b"[" * DEEP + b"]" * DEEP + b"}"),
}


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as database:
        with database:
            yield database
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sql(*statements: str) -> Damage:
    def damage(path: Path) -> None:
        with _database(path) as database:
            for statement in statements:
                database.execute(statement)

    return damage


def _random_pages(path: Path) -> None:
    """Every page after the first holds random bytes; the header stays whole."""
    _sql("SELECT 1")(path)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + Random(0).randbytes(max(0, len(content) - 4096)))


def _random_log(path: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(Random(1).randbytes(8192))


INDEX_DAMAGES: dict[str, Damage] = {
    **BINARY_DAMAGES,
    "random pages": _random_pages,
    "random bytes": _bytes(Random(2).randbytes(16_384)),
    "a text": _text("not a database, but long enough to be looked at\n" * 100),
    "random log": _random_log,
    "a log that is a folder": lambda path: _folder(path.with_name(path.name + "-wal")),
    "another version": _sql("PRAGMA user_version = 99"),
    "no runs table": _sql("DROP TABLE run"),
    "no stages table": _sql("DROP TABLE stage"),
    "no epochs table": _sql("DROP TABLE epoch"),
    "a column is missing": _sql("ALTER TABLE run DROP COLUMN facts"),
    "rows that are no JSON": _sql(
        "UPDATE run SET facts = '{half', weights = '{half'",
        "UPDATE stage SET facts = '{half'",
    ),
    "rows of other types": _sql(
        "UPDATE run SET facts = '[1]', weights = '5', session = 'much', timing = 'x', attempt_started = 'y'",
        "UPDATE run SET offset = 'z'",
        "UPDATE stage SET facts = '[]', state = 7, seconds = 'long', step = 'far', steps = 'x', since = 'then'",
    ),
    "rows of other fields": _sql("UPDATE run SET facts = '{\"a\": 1}'", "UPDATE stage SET facts = '{\"a\": 1}'"),
    "rows that are bytes": _sql("UPDATE run SET facts = x'ff00ff', stamp = x'ff'", "UPDATE stage SET facts = x'ff00'"),
    "read only": lambda path: path.chmod(0o444),
}
