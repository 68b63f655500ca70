"""Fetching a data set: download, preparation, and where it stands. Never from a page's own process: it takes long."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import Timeout

from kdcore import registry
from kdcore.data import dataset, prepare
from kdcore.data.dataset import megabytes
from kdcore.data.download import FetchFailed, download
from kdcore.data.places import missing, place, raw_folder, ready
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Dataset, Fetch, Progress
from kdcore.files import Damaged, held, lock, read_json, write_json
from kdcore.paths import data_home
from kdcore.problems import RecipeError
from kdcore.registry import Options

WRITE_EVERY = 0.25  # s between two writes of the progress file
LOOK_EVERY = 0.5  # s between two looks at another process's progress


class Status(NamedTuple):
    """Where a data set stands on this machine.

    `ready`: load it; `message` says what was left out of a person's files, and how they were read. `missing`: fetch it;
    `download_bytes` says how much that loads. `fetching`: some process is at it, as far as `progress` (None at its very
    start). `failed`: the last fetch ended with `message`.
    """

    state: Literal["ready", "missing", "fetching", "failed"]
    title: str
    download_bytes: int = 0
    progress: Progress | None = None
    message: str = ""


def status(source: Options) -> Status:
    """Where this data set stands; quick enough to be asked at every rerun of a page. Raises RecipeError."""
    fetch = DatasetTraits.of(source).fetch
    if fetch is None:
        return Status("ready", registry.entry_of("dataset", source).name)
    title, folder = fetch.title(source), place(source)
    if ready(folder):
        return Status("ready", title, message=_message(folder))
    left = sum(file.bytes for file in missing(source))
    note = _note(folder)
    if held(_lock_file(folder)):
        return Status("fetching", title, left, note if isinstance(note, Progress) else None)
    if isinstance(note, str):
        return Status("failed", title, left, message=note)
    return Status("missing", title, left)


def fetch(source: Options, on_progress: Callable[[Progress], None] = lambda progress: None) -> Dataset:
    """Downloads what is missing, prepares the arrays, and loads them. Does nothing where they are ready.

    May be killed and called again, and called by several processes at once: one works and the others wait, with its
    progress passed on. Raises FetchFailed, whose message says what to do by hand, and RecipeError.
    """
    how, folder = DatasetTraits.of(source).fetch, place(source)
    if how and not ready(folder):
        with _turn(_lock_file(folder), lambda: _note(folder), on_progress):
            if not ready(folder):
                _work(how, source, folder, on_progress)
    return dataset.load(source)


def here(name: str) -> dict[str, Any]:
    """What of the data set `name` is on this machine: `prepared` options, `download_bytes` to come, `here` in words."""
    if DatasetTraits.named(name).fetch is None:
        return {"prepared": [{}], "download_bytes": 0, "here": "yes"}
    found, left = _prepared(name), sum(file.bytes for file in missing(registry.validate("dataset", name)))
    forms = [", ".join(f"{option} {value}" for option, value in form.items()) or "yes" for form in found]
    rest = f"{megabytes(left)} to download" if left else "to prepare"
    return {"prepared": found, "download_bytes": left, "here": "; ".join(forms) or rest}


def _prepared(name: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted((data_home() / name).glob("*/info.json")):
        options = json.loads(path.read_text("utf-8")).get("source", {})
        found.append({field: value for field, value in options.items() if field != "dataset" and value is not None})
    return found


def _message(folder: Path) -> str:
    info = json.loads((folder / "info.json").read_text("utf-8"))
    return ". ".join([*info.get("notes", []), *_left_out(info["left_out"], info["left_out_count"])])


def _left_out(names: list[str], count: int) -> list[str]:
    if not count:
        return []
    files = "1 file that is not a picture was" if count == 1 else f"{count:,} files that are not pictures were"
    return [f"{files} left out: {', '.join(names)}" + (" and others" if count > len(names) else "")]


def _work(how: Fetch, source: Options, folder: Path, on_progress: Callable[[Progress], None]) -> None:
    for rest in prepare.leftovers(folder):
        shutil.rmtree(rest, ignore_errors=True)
    tell = _Teller(folder, on_progress)
    failure = None
    try:
        files = how.files(source)
        if files:
            raw = raw_folder(source)
            with _turn(raw.with_name(".raw.lock"), lambda: None, on_progress):
                download(files, raw, tell)
        prepare.prepare(registry.entry_of("dataset", source).implementation, source, folder, tell)
        _forget_older(source, folder)
    except FetchFailed as error:
        failure = str(error)
        raise
    except RecipeError as error:
        failure = "; ".join(problem.message for problem in error.problems)
        raise
    except (
        Exception
    ) as error:  # whatever it is: a page reads the note, and this process may have no other way to report
        failure = f"{how.title(source)} could not be prepared: {str(error) or type(error).__name__}"
        raise FetchFailed(failure) from error
    finally:
        tell.end(failure)


def _forget_older(source: Options, folder: Path) -> None:
    """Removes what was prepared from a person's files before they changed: no options lead there any more."""
    for info in folder.parent.glob("*/info.json"):
        stale = json.loads(info.read_text("utf-8")).get("source") == source.model_dump(mode="json")
        if stale and info.parent != folder:
            info.unlink()
            shutil.rmtree(info.parent, ignore_errors=True)


class _Teller:
    """Passes progress on, and writes it beside the target for pages that poll."""

    def __init__(self, folder: Path, on_progress: Callable[[Progress], None]):
        self.path, self.on_progress, self.written = _note_file(folder), on_progress, 0.0
        self.path.unlink(missing_ok=True)

    def __call__(self, progress: Progress) -> None:
        self.on_progress(progress)
        now = time.monotonic()
        if now - self.written >= WRITE_EVERY:
            self._write({"progress": progress._asdict()})
            self.written = now

    def end(self, failure: str | None) -> None:
        """Leaves the reason of a failure, and nothing otherwise."""
        if failure is None:
            self.path.unlink(missing_ok=True)
        else:
            self._write({"failed": failure})

    def _write(self, content: dict[str, Any]) -> None:
        with suppress(OSError):  # a full disk is reported by what needs it
            write_json(self.path, content)


def _note(folder: Path) -> Progress | str | None:
    """What the last fetch wrote: how far it is, or why it failed."""
    try:
        content = read_json(_note_file(folder))
    except (OSError, Damaged):
        return None
    return content["failed"] if "failed" in content else Progress(**content["progress"])


def _note_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.fetching.json")


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def _turn(
    path: Path, note: Callable[[], Progress | str | None], on_progress: Callable[[Progress], None]
) -> Iterator[None]:
    """Holds the lock at `path`; while another process has it, passes its progress on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turn = lock(path, LOOK_EVERY)
    while True:
        try:
            turn.acquire()
            break
        except Timeout:
            seen = note()
            on_progress(seen if isinstance(seen, Progress) else Progress("waiting for another process", 0, 0, "bytes"))
    try:
        yield
    finally:
        turn.release()
