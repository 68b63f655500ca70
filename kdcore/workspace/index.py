"""The index: all runs, their stages and curves in one SQLite file that can be thrown away.

Everything in it comes from the files of the workspace; `sync` brings in what is new, and doing it
twice changes nothing. A damaged index, or one of another version, is made anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from kdcore.files import Damaged, read_json
from kdcore.workspace import events, keys
from kdcore.workspace.state import Files, State, files, silent_since, state
from kdcore.workspace.workspace import Workspace

VERSION = 2
SCHEMA = """
CREATE TABLE run (id TEXT PRIMARY KEY, stamp TEXT, offset INTEGER, facts TEXT, weights TEXT, session REAL, timing REAL,
    attempt_started REAL);
CREATE TABLE stage (run TEXT, key TEXT, place INTEGER, facts TEXT, state TEXT, phase TEXT, seconds REAL, step INTEGER,
    steps INTEGER, told INTEGER, network TEXT, PRIMARY KEY (run, key));
CREATE TABLE epoch (key TEXT, epoch INTEGER, step INTEGER, loss REAL, accuracy REAL, val_loss REAL, val_accuracy REAL,
    PRIMARY KEY (key, epoch));
"""
CURVES = ("epoch", "step", "loss", "accuracy", "val_loss", "val_accuracy")


class RunRow(NamedTuple):
    """A run in the list. Times are Unix seconds; accuracy, smaller and faster are of its last variant.

    `score`: what it is judged by, told in `measure`: accuracy, or mAP where images have several labels.
    `silent_since`: since when its worker, which should be at work, gives no sign of life.
    """

    id: str
    name: str
    state: State
    progress: float
    stage: str
    eta_seconds: float | None
    created: float
    started: float | None
    finished: float | None
    tags: tuple[str, ...]
    preset: str | None
    accuracy: float | None
    score: float | None
    measure: str | None
    smaller: float | None
    faster: float | None
    variant: str | None
    error: str | None
    silent_since: float | None = None


class StageRow(NamedTuple):
    """A stage of a run. `state`: pending, waiting, running, reused, done, failed or stopped."""

    key: str
    title: str
    variant: str
    role: str
    seed: int
    state: str
    phase: str
    seconds: float
    progress: float


class Index:
    """The index of one workspace. Each call opens the file for itself, so any thread and process may call."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def sync(self) -> None:
        """Brings in what changed since the last call; forgets runs that are gone."""
        ids = self.workspace.run_ids()
        with self._open() as database:
            stamps = dict(database.execute("SELECT id, stamp FROM run"))
            for gone in set(stamps) - set(ids):
                for statement in ("DELETE FROM run WHERE id = ?", "DELETE FROM stage WHERE run = ?"):
                    database.execute(statement, (gone,))
            for run_id in ids:
                stamp = self._stamp(run_id)
                if stamps.get(run_id) != stamp:
                    self._ingest(database, run_id, stamp)

    def rebuild(self) -> None:
        """Throws the index away and makes it anew from the files."""
        self._discard()
        self.sync()

    def runs(self) -> list[RunRow]:
        """All runs, the newest first."""
        with self._open() as database:
            rows = database.execute("SELECT * FROM run ORDER BY id DESC").fetchall()
            return [self._row(database, row) for row in rows]

    def run(self, run_id: str) -> RunRow | None:
        """One run; None when the index has none of this id."""
        with self._open() as database:
            row = database.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
            return self._row(database, row) if row else None

    def stages(self, run_id: str) -> list[StageRow]:
        """The stages of a run, in the order in which they are carried out."""
        with self._open() as database:
            run = database.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
            live = run is not None and self._state(run_id, _told(run)) in ("running", "stopping", "waiting")
            rows = database.execute("SELECT * FROM stage WHERE run = ? ORDER BY place", (run_id,)).fetchall()
        return [_stage(row, live) for row in rows]

    def curves(
        self, run_id: str, first: int | None = None, last: int | None = None, points: int = 500
    ) -> list[dict[str, Any]]:
        """A dict a stage that was trained: variant, role, seed, key, and lists `epoch`, `step`, `loss`, `accuracy`,
        `val_loss`, `val_accuracy` of at most `points` values between the steps `first` and `last`."""
        made = []
        with self._open() as database:
            for stage in database.execute("SELECT * FROM stage WHERE run = ? ORDER BY place", (run_id,)).fetchall():
                rows = self._epochs(database, stage["key"], first or 0, last or 2**60, points)
                if rows:
                    facts = json.loads(stage["facts"])
                    lists = {name: [row[name] for row in rows] for name in CURVES}
                    made.append({**{k: facts[k] for k in ("variant", "role", "seed", "key")}, **lists})
        return made

    def pace(self, most: int = 200) -> list[tuple[str, float]]:
        """Of each of the latest stages its network, as canonical JSON of the architecture that was trained ("" where
        none was), and the seconds that it took for one nominal second of `weights`."""
        query = """
            SELECT stage.network, stage.seconds / json_extract(run.weights, '$."' || stage.key || '"') AS pace
            FROM stage JOIN run ON run.id = stage.run
            WHERE stage.state = 'done' AND run.weights IS NOT NULL ORDER BY stage.told DESC LIMIT ?"""
        with self._open() as database:
            return [(row["network"], row["pace"]) for row in database.execute(query, (most,)) if row["pace"]]

    def _epochs(self, database: sqlite3.Connection, key: str, first: int, last: int, points: int) -> list[sqlite3.Row]:
        query = """
            SELECT * FROM (
                SELECT *, ROW_NUMBER() OVER (ORDER BY epoch) - 1 AS place, COUNT(*) OVER () AS total
                FROM epoch WHERE key = :key AND step BETWEEN :first AND :last)
            WHERE place % ((total + :most - 1) / :most) = 0 OR place = total - 1"""
        named = {"key": key, "first": first, "last": last, "most": points - 1}
        return database.execute(query, named).fetchall()

    def _stamp(self, run_id: str) -> str:
        folder = os.path.join(self.workspace.runs, run_id)  # text: pathlib takes longer than the file system
        parts = []
        for name in ("meta.json", "status.json", "result.json", "events.jsonl"):
            try:
                info = os.stat(os.path.join(folder, name))
                parts.append(f"{info.st_mtime_ns}.{info.st_size}")
            except FileNotFoundError:
                parts.append("")
        return "|".join(parts)

    def _ingest(self, database: sqlite3.Connection, run_id: str, stamp: str) -> None:
        folder = self.workspace.runs / run_id
        if not database.in_transaction:
            database.execute("BEGIN IMMEDIATE")  # what is read below must not be entered by another process meanwhile
        try:
            known = files(folder)
            row = database.execute("SELECT offset FROM run WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                self._enter(database, run_id)
        except (Damaged, FileNotFoundError, KeyError) as error:
            self._note_damage(database, run_id, stamp, error)
            return
        fresh, offset = events.read(folder / "events.jsonl", row["offset"] if row else 0)
        for event in fresh:
            self._event(database, run_id, event)
        database.execute(
            "UPDATE run SET stamp = ?, offset = ?, facts = ? WHERE id = ?",
            (stamp, offset, json.dumps(_facts(known)), run_id),
        )

    def _enter(self, database: sqlite3.Connection, run_id: str) -> None:
        plan = read_json(self.workspace.runs / run_id / "plan.json")
        database.execute("INSERT INTO run (id, offset, session) VALUES (?, 0, 0)", (run_id,))
        networks: dict[str | None, str] = {}
        for place, stage in enumerate(plan["stages"]):
            model = stage["spec"].get("model")
            networks[stage["key"]] = keys.canonical(model) if model else networks.get(stage["parent"], "")
            facts = {name: stage[name] for name in ("key", "title", "variant", "role", "seed")}
            steps = stage["spec"].get("train", {}).get("steps", 0)
            database.execute(
                "INSERT INTO stage VALUES (?, ?, ?, ?, 'pending', '', 0, 0, ?, NULL, ?)",
                (run_id, stage["key"], place, json.dumps(facts), steps, networks[stage["key"]]),
            )

    def _note_damage(self, database: sqlite3.Connection, run_id: str, stamp: str, error: Exception) -> None:
        created = time.time()
        facts = {"name": run_id, "created": created, "state": "failed", "error": f"its files cannot be read: {error}"}
        database.execute(
            "INSERT OR REPLACE INTO run (id, stamp, offset, facts, session) VALUES (?, ?, 0, ?, 0)",
            (run_id, stamp, json.dumps(facts)),
        )

    def _event(self, database: sqlite3.Connection, run_id: str, event: dict[str, Any]) -> None:
        kind = event["type"]
        where = (run_id, event.get("stage"))
        if kind == "weights":
            database.execute(
                "UPDATE run SET weights = ?, timing = ?, attempt_started = ?, session = 0 WHERE id = ?",
                (json.dumps(event["weights"]), event["session"], event["t"], run_id),
            )
        elif kind == "stage":
            seconds = event.get("seconds", 0.0)
            database.execute(
                "UPDATE stage SET state = ?, phase = '', seconds = ?, told = ? WHERE run = ? AND key = ?",
                (event["state"], seconds, event["t"], *where),
            )
            if event["state"] in ("reused", "done"):
                self._history(database, event["stage"])
        elif kind == "phase":
            database.execute("UPDATE stage SET phase = ? WHERE run = ? AND key = ?", (event["phase"], *where))
        elif kind == "epoch":
            database.execute("UPDATE stage SET step = ? WHERE run = ? AND key = ?", (event["step"], *where))
            self._epoch(database, event["stage"], event)
        elif kind == "session":
            database.execute("UPDATE run SET session = ? WHERE id = ?", (event["progress"], run_id))

    def _history(self, database: sqlite3.Connection, key: str) -> None:
        for row in events.history(self.workspace.model(key) / "history.jsonl"):
            self._epoch(database, key, row)

    def _epoch(self, database: sqlite3.Connection, key: str, row: dict[str, Any]) -> None:
        values = (key, *(row[name] for name in CURVES))
        database.execute("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def _state(self, run_id: str, facts: dict[str, Any]) -> State:
        if told := facts.get("state"):
            return told
        folder = self.workspace.runs / run_id
        try:
            known = files(folder)
            if known.result:
                return "running"  # a result that came after the last sync: told as a whole by the next one
            return state(folder, known)
        except (Damaged, FileNotFoundError, KeyError):
            return "failed"

    def _row(self, database: sqlite3.Connection, row: sqlite3.Row) -> RunRow:
        facts = _told(row)
        now = self._state(row["id"], facts)
        summary = facts.get("summary") or {}
        progress, eta, title = 1.0 if now == "done" else 0.0, None, ""
        if now != "done" and row["weights"]:
            stages = database.execute("SELECT * FROM stage WHERE run = ? ORDER BY place", (row["id"],)).fetchall()
            progress, eta, title, waiting = _progress(row, stages, now in ("running", "stopping"))
            if now == "running" and waiting:
                now = "waiting"
        return RunRow(
            id=row["id"],
            name=facts.get("name", row["id"]),
            state=now,
            progress=progress,
            stage=title,
            eta_seconds=eta,
            created=facts.get("created", 0.0),
            started=facts.get("started"),
            finished=facts.get("finished"),
            tags=tuple(facts.get("tags", ())),
            preset=facts.get("preset"),
            accuracy=summary.get("accuracy"),
            score=summary.get("score"),
            measure=summary.get("measure"),
            smaller=summary.get("smaller"),
            faster=summary.get("faster"),
            variant=summary.get("variant"),
            error=facts.get("error"),
            silent_since=self._silent_since(row["id"], now, facts),
        )

    def _silent_since(self, run_id: str, now: State, facts: dict[str, Any]) -> float | None:
        live = now in ("running", "waiting", "stopping")
        return silent_since(self.workspace.runs / run_id, facts) if live else None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            database = self._connect()
        except sqlite3.DatabaseError:
            self._discard()
            database = self._connect()
        with closing(database), database:
            yield database

    def _connect(self) -> sqlite3.Connection:
        self.workspace.ensure()
        database = sqlite3.connect(self.workspace.index, timeout=10)
        database.row_factory = sqlite3.Row
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, VERSION):
                raise sqlite3.DatabaseError("made by another version")
            if not found:
                database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        except sqlite3.OperationalError as error:
            if "already exists" not in str(error):  # another process has just made the tables
                database.close()
                raise
            database.rollback()
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.workspace.index.with_name(self.workspace.index.name + suffix).unlink(missing_ok=True)


def _facts(known: Files) -> dict[str, Any]:
    meta, status, result = known
    facts = {name: meta.get(name) for name in ("name", "tags", "preset", "created")}
    facts |= {name: status.get(name) for name in ("started", "silent")}
    if result:
        facts |= {name: result.get(name) for name in ("state", "error", "started", "finished", "summary")}
    return facts


def _told(row: sqlite3.Row) -> dict[str, Any]:
    return json.loads(row["facts"] or "{}")


def _share(row: sqlite3.Row) -> float:
    if row["state"] in ("done", "reused"):
        return 1.0
    return 0.9 * row["step"] / row["steps"] if row["steps"] else 0.0


def _progress(row: sqlite3.Row, stages: list[sqlite3.Row], live: bool) -> tuple[float, float | None, str, bool]:
    """Share done 0..1, seconds left where that can be told, what is being done, whether it waits for another run."""
    weights = json.loads(row["weights"])
    total = sum(weights.values()) + row["timing"]
    reused = sum(weights[stage["key"]] for stage in stages if stage["state"] == "reused")
    done = sum(weights[stage["key"]] * _share(stage) for stage in stages) + row["timing"] * row["session"]
    current = next((stage for stage in stages if stage["state"] in ("running", "waiting")), None)
    title = "measuring" if row["session"] and live else ""
    if current and live:
        title = f"{json.loads(current['facts'])['title']}: {current['phase']}".rstrip(": ")
    earned = done - reused
    eta = None
    if live and earned > 0.03 * (total - reused):
        eta = (total - done) * (time.time() - row["attempt_started"]) / earned
    waiting = bool(current and current["state"] == "waiting")
    return min(done / total, 0.999) if total else 0.0, eta, title, waiting


def _stage(row: sqlite3.Row, live: bool) -> StageRow:
    facts = json.loads(row["facts"])
    now = row["state"]
    if now in ("running", "waiting") and not live:
        now = "stopped"
    return StageRow(**facts, state=now, phase=row["phase"], seconds=_seconds(row, now), progress=_share(row))


def _seconds(row: sqlite3.Row, now: str) -> float:
    return time.time() - row["told"] if now == "running" else row["seconds"]
