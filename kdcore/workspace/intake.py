"""How the files of runs come into the index: one run after the other, each whole or noted as damaged."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from kdcore.files import Damaged
from kdcore.workspace import events, keys, shapes
from kdcore.workspace.database import Broken
from kdcore.workspace.plans import Plan
from kdcore.workspace.state import Files, files
from kdcore.workspace.workspace import Workspace

VERSION = 4
SCHEMA = """
CREATE TABLE run (id TEXT PRIMARY KEY, stamp TEXT, offset INTEGER, skipped INTEGER, facts TEXT, weights TEXT,
    session REAL, timing REAL, attempt_started REAL);
CREATE TABLE stage (run TEXT, key TEXT, place INTEGER, facts TEXT, state TEXT, phase TEXT, seconds REAL, step INTEGER,
    steps INTEGER, since INTEGER, network TEXT, PRIMARY KEY (run, key));
CREATE TABLE epoch (key TEXT, epoch INTEGER, step INTEGER, loss REAL, accuracy REAL, val_loss REAL, val_accuracy REAL,
    PRIMARY KEY (key, epoch));
"""
CURVES = ("epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy")
OF_META = ("name", "tags", "preset", "created", "requested", "owner")
WATCHED = ("meta.json", "status.json", "result.json", "plan.json", "recipe.json", "events.jsonl")


def sync(database: sqlite3.Connection, workspace: Workspace, only: str | None = None) -> None:
    """Brings in what changed since the last call, of one run or of all; forgets runs that are gone."""
    ids = workspace.run_ids() if only is None else [only] if workspace.has(only) else []
    stamps = dict(database.execute("SELECT id, stamp FROM run WHERE id = coalesce(?, id)", (only,)))
    changed = [(run_id, stamp) for run_id in ids if stamps.get(run_id) != (stamp := _stamp(workspace, run_id))]
    gone = set(stamps) - set(ids)
    if (changed or gone) and not database.in_transaction:
        # What is read below must not be entered by another process meanwhile.
        database.execute("BEGIN IMMEDIATE")
    for run_id in gone:
        _forget(database, run_id)
    for run_id, stamp in changed:
        _ingest(database, workspace, run_id, stamp)


def _stamp(workspace: Workspace, run_id: str) -> str:
    folder = f"{workspace.runs}/{run_id}"  # text: joining paths takes longer than the file system
    parts = []
    for name in WATCHED:
        try:
            info = os.stat(f"{folder}/{name}")
            parts.append(f"{info.st_mtime_ns}.{info.st_size}")
        except OSError:
            parts.append("")
    return "|".join(parts)


def _ingest(database: sqlite3.Connection, workspace: Workspace, run_id: str, stamp: str) -> None:
    """Brings in one run whole, or notes that it is damaged."""
    database.execute("SAVEPOINT run")
    try:
        _bring_in(database, workspace, run_id, stamp)
    except (sqlite3.Error, Broken):
        raise
    except Exception as error:  # whatever is wrong with it, the other runs are not
        database.execute("ROLLBACK TO run")
        _note_damage(database, workspace, run_id, stamp, error)
    database.execute("RELEASE run")


def _bring_in(database: sqlite3.Connection, workspace: Workspace, run_id: str, stamp: str) -> None:
    folder = workspace.runs / run_id
    known, plan = files(folder), workspace.plan(run_id)
    shapes.asked(folder)
    row = database.execute("SELECT offset, skipped, facts FROM run WHERE id = ?", (run_id,)).fetchone()
    if row is None or facts_of(row).get("damaged"):
        _enter(database, run_id, plan)
        offset = skipped = 0
    else:
        offset, skipped = _whole(row["offset"]), _whole(row["skipped"])
    fresh = events.read(folder / "events.jsonl", offset)
    for event in fresh.events:
        _event(database, workspace, run_id, event)
    database.execute(
        "UPDATE run SET stamp = ?, offset = ?, skipped = ?, facts = ? WHERE id = ?",
        (stamp, fresh.offset, skipped + fresh.skipped, json.dumps(_facts(known)), run_id),
    )


def _note_damage(database: sqlite3.Connection, workspace: Workspace, run_id: str, stamp: str, error: Exception) -> None:
    """Enters the run as damaged, with what is still known of it; one that was just deleted not at all."""
    folder = workspace.runs / run_id
    _forget(database, run_id)
    try:
        facts: dict[str, Any] = {"name": run_id, "created": folder.stat().st_mtime}
    except OSError:
        return
    try:
        meta = shapes.meta(folder)
        facts |= {name: meta.get(name) for name in ("name", "tags", "preset", "created", "owner")}
    except Damaged:
        pass
    file, reason = "its files", f"cannot be read: {error!r}"[:300]
    if isinstance(error, Damaged):
        file, reason = error.file.name, error.reason
    facts |= {"state": "damaged", "damaged": file, "error": f"{file} {reason}"}
    database.execute(
        "INSERT INTO run (id, stamp, offset, skipped, facts, session) VALUES (?, ?, 0, 0, ?, 0)",
        (run_id, stamp, json.dumps(facts)),
    )


def _event(database: sqlite3.Connection, workspace: Workspace, run_id: str, event: events.Event) -> None:
    if event["type"] == "weights":
        database.execute(
            "UPDATE run SET weights = ?, timing = ?, attempt_started = ?, session = 0 WHERE id = ?",
            (json.dumps(event["weights"]), event["session"], event["t"], run_id),
        )
    elif event["type"] == "stage":
        seconds = event.get("seconds", 0.0)
        database.execute(
            "UPDATE stage SET state = ?, phase = '', seconds = ?, since = ? WHERE run = ? AND key = ?",
            (event["state"], seconds, event["t"], run_id, event["stage"]),
        )
        if event["state"] in ("reused", "done"):
            _history(database, workspace, event["stage"])
    elif event["type"] == "phase":
        where = (run_id, event["stage"])
        database.execute("UPDATE stage SET phase = ? WHERE run = ? AND key = ?", (event["phase"], *where))
    elif event["type"] == "epoch":
        where = (run_id, event["stage"])
        database.execute("UPDATE stage SET step = ? WHERE run = ? AND key = ?", (event["step"], *where))
        _epoch(database, event["stage"], event)
    else:
        database.execute("UPDATE run SET session = ? WHERE id = ?", (event["progress"], run_id))


def _history(database: sqlite3.Connection, workspace: Workspace, key: str) -> None:
    for row in events.history(workspace.model(key) / "history.jsonl"):
        _epoch(database, key, row)


def _epoch(database: sqlite3.Connection, key: str, row: Mapping[str, Any]) -> None:
    values = (key, *(row[name] for name in CURVES))
    database.execute("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def _enter(database: sqlite3.Connection, run_id: str, plan: Plan) -> None:
    _forget(database, run_id)
    database.execute("INSERT INTO run (id, offset, skipped, session) VALUES (?, 0, 0, 0)", (run_id,))
    networks: dict[str | None, str] = {}
    for place, stage in enumerate(plan.stages):
        model = stage.spec.get("model")
        networks[stage.key] = keys.canonical(model) if model else networks.get(stage.parent, "")
        facts = stage.model_dump(include={"key", "title", "variant", "role", "seed"})
        database.execute(
            "INSERT INTO stage VALUES (?, ?, ?, ?, 'pending', '', 0, 0, ?, NULL, ?)",
            (run_id, stage.key, place, json.dumps(facts), stage.steps, networks[stage.key]),
        )


def _forget(database: sqlite3.Connection, run_id: str) -> None:
    for statement in ("DELETE FROM run WHERE id = ?", "DELETE FROM stage WHERE run = ?"):
        database.execute(statement, (run_id,))


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise Broken(f"{value!r} is not a whole number")
    return value


def _facts(known: Files) -> dict[str, Any]:
    meta, status, result = known
    facts: dict[str, Any] = {name: meta.get(name) for name in OF_META}
    facts["started"] = status["started"] if status else None
    facts["silent"] = status.get("silent") if status else None
    if status and "job" in status:
        facts["job"] = {name: status.get(name, "") for name in ("launcher", "job", "condition")}
    if result:
        facts |= {name: result.get(name) for name in ("state", "error", "started", "finished", "summary")}
    return facts


def facts_of(row: sqlite3.Row) -> dict[str, Any]:
    """What was entered of a run. Raises Broken where that is not what is stored."""
    try:
        facts = json.loads(row["facts"])
        if {"name", "created"} <= facts.keys():
            return facts
    except (ValueError, TypeError, AttributeError):
        pass
    raise Broken(f"{str(row['facts'])[:40]!r} are not the facts of a run")
