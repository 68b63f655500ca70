"""The index: all runs, their stages and curves in one SQLite file that can be thrown away.

Everything in it comes from the files of the workspace; `sync` brings in what is new, and doing it
twice changes nothing. A damaged index, or one of another version, is rebuilt (`kdcore.workspace.database`).
A run whose files are damaged is listed as such, and keeps no other out.
"""

from __future__ import annotations

import json
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kdcore.files import Damaged
from kdcore.workspace.database import Database
from kdcore.workspace.intake import CURVES, SCHEMA, VERSION, facts_of, sync
from kdcore.workspace.state import SETTLED, State, files, silent_since, state
from kdcore.workspace.workspace import Workspace


class RunRow(NamedTuple):
    """A run in the list. Times are Unix seconds; accuracy, smaller and faster are of its last variant.

    `faster`: times its teacher's throughput at batch 64; `differs`: whether measurably; `busy`: the machine was.
    `score`: what it is judged by, named in `measure`: accuracy, or mAP where images have several labels. `bits` per
    character: what a language model is judged by instead. `damaged`: of a
    damaged run the file that cannot be read; `error` then says why. `note`: what else is wrong with its files.
    `silent_since`: since when its worker does not respond. `kept`: a cancelled run that was asked to stop and keep its
    results, and has some. `owner`: the id of the person of a class whose run it is. `job`: of a run that another system
    launches, its job there in words.
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
    damaged: str | None
    note: str | None
    silent_since: float | None = None
    kept: bool = False
    differs: bool = True
    busy: bool = False
    owner: str | None = None
    job: str = ""
    bits: float | None = None

    @property
    def condition(self) -> str:
        """The state as a person reads it: "stopped" where results are kept."""
        return "stopped" if self.kept else self.state


class _Kept(NamedTuple):
    """The row of a run that has ended, and the stamp of the files that it was made from."""

    stamp: str
    row: RunRow


_ENDED: dict[Path, dict[str, _Kept]] = {}  # by workspace and run: a run that has ended has the same row for long


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
        self._sync = partial(sync, workspace=workspace)
        self._database = Database(workspace, SCHEMA, VERSION, fill=self._sync)

    def sync(self, only: str | None = None) -> None:
        """Brings in what changed since the last call, of one run or of all; forgets runs that are gone. One run's failure
        keeps no other out."""
        self._database.update(partial(self._sync, only=only))

    def rebuild(self) -> None:
        """Throws the index away and rebuilds it from the files."""
        _ENDED.pop(self.workspace.root, None)
        self._database.rebuild()

    def runs(self) -> list[RunRow]:
        """All runs, the newest first."""

        def read(database: sqlite3.Connection) -> list[RunRow]:
            database.execute("BEGIN")  # another process may delete a run meanwhile
            listed = database.execute("SELECT id, stamp FROM run ORDER BY id DESC").fetchall()
            known = _ENDED.get(self.workspace.root, {})
            kept = {name: known[name] for name, stamp in listed if name in known and known[name].stamp == stamp}
            made = {name: self._made(database, name, kept) for name, _ in listed if name not in kept}
            _ENDED[self.workspace.root] = kept
            return [kept[name].row if name in kept else made[name] for name, _ in listed]

        return self._database.ask(read)

    def _made(self, database: sqlite3.Connection, run_id: str, kept: dict[str, _Kept]) -> RunRow:
        """A run's row as it is now, put into `kept` where the run has ended."""
        row = database.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
        made = self._row(database, row)
        if facts_of(row).get("state"):
            kept[run_id] = _Kept(row["stamp"], made)
        return made

    def run(self, run_id: str) -> RunRow | None:
        """One run; None when the index has none of this id."""

        def read(database: sqlite3.Connection) -> RunRow | None:
            row = database.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
            return self._row(database, row) if row else None

        return self._database.ask(read)

    def stages(self, run_id: str) -> list[StageRow]:
        """The stages of a run, in the order in which they run."""

        def read(database: sqlite3.Connection) -> list[StageRow]:
            run = database.execute("SELECT * FROM run WHERE id = ?", (run_id,)).fetchone()
            live = run is not None and self._state(run_id, facts_of(run)) in ("running", "stopping", "waiting")
            rows = database.execute("SELECT * FROM stage WHERE run = ? ORDER BY place", (run_id,)).fetchall()
            return [_stage(row, live) for row in rows]

        return self._database.ask(read)

    def curves(
        self, run_id: str, first: int | None = None, last: int | None = None, points: int = 500
    ) -> list[dict[str, Any]]:
        """A dict a stage that was trained: variant, role, seed, key, and lists `epoch`, `step`, `loss`, `accuracy`,
        `val_loss`, `val_accuracy` of at most `points` values between the steps `first` and `last`."""

        def read(database: sqlite3.Connection) -> list[dict[str, Any]]:
            made = []
            for stage in database.execute("SELECT * FROM stage WHERE run = ? ORDER BY place", (run_id,)).fetchall():
                rows = self._epochs(database, stage["key"], first or 0, last or 2**60, points)
                if rows:
                    facts = json.loads(stage["facts"])
                    lists = {name: [row[name] for row in rows] for name in CURVES}
                    made.append({**{k: facts[k] for k in ("variant", "role", "seed", "key")}, **lists})
            return made

        return self._database.ask(read)

    def pace(self, most: int = 200) -> list[tuple[str, float]]:
        """Of each of the latest stages its network, as canonical JSON of the architecture that was trained ("" where
        none was), and the seconds that it took for one nominal second of `weights`."""
        query = """
            SELECT stage.network, stage.seconds / json_extract(run.weights, '$."' || stage.key || '"') AS pace
            FROM stage JOIN run ON run.id = stage.run
            WHERE stage.state = 'done' AND run.weights IS NOT NULL ORDER BY stage.since DESC LIMIT ?"""

        def read(database: sqlite3.Connection) -> list[tuple[str, float]]:
            return [(row["network"], row["pace"]) for row in database.execute(query, (most,)) if row["pace"]]

        return self._database.ask(read)

    def _epochs(self, database: sqlite3.Connection, key: str, first: int, last: int, points: int) -> list[sqlite3.Row]:
        query = """
            SELECT * FROM (
                SELECT *, ROW_NUMBER() OVER (ORDER BY epoch) - 1 AS place, COUNT(*) OVER () AS total
                FROM epoch WHERE key = :key AND step BETWEEN :first AND :last)
            WHERE place % ((total + :most - 1) / :most) = 0 OR place = total - 1"""
        named = {"key": key, "first": first, "last": last, "most": points - 1}
        return database.execute(query, named).fetchall()

    def _state(self, run_id: str, facts: dict[str, Any]) -> State:
        if ended := facts.get("state"):
            return ended
        folder = self.workspace.runs / run_id
        try:
            known = files(folder)
            if known.result:
                return "running"  # a result that came after the last sync: the next one takes it in whole
            return state(folder, known)
        except Damaged:
            return "damaged"  # since the last sync: the next one says why

    def _row(self, database: sqlite3.Connection, row: sqlite3.Row) -> RunRow:
        facts = facts_of(row)
        now = self._state(row["id"], facts)
        summary = facts.get("summary") or {}
        progress, eta, title = 1.0 if now == "done" else 0.0, None, ""
        if now != "done" and row["weights"]:
            stages = database.execute("SELECT * FROM stage WHERE run = ? ORDER BY place", (row["id"],)).fetchall()
            progress, eta, title, waiting = _progress(row, stages, now in ("running", "stopping"))
            if title and facts.get("preset") == "search":
                title = "searching"
            if now == "running" and waiting:
                now = "waiting"
        return RunRow(
            id=row["id"],
            name=facts["name"],
            state=now,
            progress=progress,
            stage=title,
            eta_seconds=eta,
            created=facts["created"],
            started=facts.get("started"),
            finished=facts.get("finished"),
            tags=tuple(facts.get("tags") or ()),
            preset=facts.get("preset"),
            accuracy=summary.get("accuracy"),
            score=summary.get("score"),
            bits=summary.get("bits"),
            measure=summary.get("measure"),
            smaller=summary.get("smaller"),
            faster=summary.get("faster"),
            variant=summary.get("variant"),
            error=facts.get("error"),
            damaged=facts.get("damaged"),
            note=_note(row["skipped"]),
            silent_since=self._silent_since(row["id"], now, facts),
            differs=summary.get("differs") is not False,
            busy=summary.get("busy") is True,
            owner=facts.get("owner"),
            kept=now == "cancelled" and facts.get("requested") == "stop" and bool(summary.get("variant")),
            job="" if now in SETTLED else _job(facts.get("job")),
        )

    def _silent_since(self, run_id: str, now: State, facts: dict[str, Any]) -> float | None:
        live = now in ("running", "waiting", "stopping")
        return silent_since(self.workspace.runs / run_id, facts) if live else None


def _job(about: dict[str, str] | None) -> str:
    if not about:
        return ""
    return f"{about['launcher'].capitalize()} job {about['job']} {about['condition']}".strip()


def _note(skipped: int) -> str | None:
    if not skipped:
        return None
    lines = "1 line" if skipped == 1 else f"{skipped:,} lines"
    return f"{lines} of its events.jsonl cannot be read and {'was' if skipped == 1 else 'were'} skipped"


def _share(row: sqlite3.Row) -> float:
    if row["state"] in ("done", "reused"):
        return 1.0
    return 0.9 * row["step"] / row["steps"] if row["steps"] else 0.0


def _progress(row: sqlite3.Row, stages: list[sqlite3.Row], live: bool) -> tuple[float, float | None, str, bool]:
    """Share done 0..1, seconds left where known, what is being done, whether it waits for another run."""
    weights = json.loads(row["weights"])
    total = sum(weights.values()) + row["timing"]
    reused = sum(weights.get(stage["key"], 0.0) for stage in stages if stage["state"] == "reused")
    done = sum(weights.get(stage["key"], 0.0) * _share(stage) for stage in stages) + row["timing"] * row["session"]
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
    return time.time() - row["since"] if now == "running" else row["seconds"]
