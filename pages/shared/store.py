"""What the pages read: the index, and files of the workspace, cached by the identity of each file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kdcore import arrays, inputs
from kdcore.files import Damaged, NoLocks, read_json, require_locks
from kdcore.inputs.kind import Items, Kind
from kdcore.inputs.pictures import KIND as PICTURES
from kdcore.jobs import api
from kdcore.measure.robustness import FILE
from kdcore.report import comparison
from kdcore.report.reading import damage
from kdcore.workspace import shapes
from kdcore.workspace.access import Refused
from kdcore.workspace.index import Index, RunRow
from kdcore.workspace.plans import Plan, Variant
from kdcore.workspace.workspace import Workspace
from pages.shared.text import plain

ACTIVE = ("queued", "waiting", "running", "stopping", "interrupted")  # an interrupted run is launched again
Identity = tuple[int, int]


def workspace() -> Workspace:
    return Workspace()


def index() -> Index:
    return Index(workspace())


def runs() -> list[RunRow]:
    """All runs, the newest first, as they are now."""
    here = index()
    here.sync()
    return here.runs()


def run(run_id: str) -> RunRow | None:
    """One run as it is now, without a look at all the others; None where it is gone."""
    here = index()
    here.sync(run_id)
    return here.run(run_id)


def serve(rows: list[RunRow]) -> None:
    """Makes sure that a queue with runs in it is served: after a restart nothing else would."""
    if any(row.state in ACTIVE for row in rows):
        dispatch()


def dispatch() -> None:
    """Sees to it that somebody serves the queue; where the disk has no locks nobody can, which every page says."""
    with suppress(NoLocks):
        api.ensure_dispatcher(workspace())


def without_locks() -> str:
    """Why nothing can run in this workspace, and what to do: its disk does not honour locks; else empty."""
    root = workspace().root
    if os.access(root, os.W_OK):
        try:
            require_locks(root)
        except NoLocks as error:
            return str(error)
    return ""


def ask(run_id: str, wanted: shapes.Request) -> None:
    """Asks for a run's state to change, and sees to it that one that is to go on is served; says why it cannot."""
    try:
        api.request(workspace(), run_id, wanted)
    except (Damaged, Refused) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    if wanted == "run":
        dispatch()


def finished() -> dict[str, RunRow]:
    """The runs that have a result to look at, by id, the newest first."""
    return {row.id: row for row in runs() if row.accuracy is not None and not row.damaged}


@contextmanager
def legible() -> Iterator[None]:
    """What is drawn from a run's files: where one of them cannot be read, the page says so and ends there."""
    try:
        yield
    except (Damaged, FileNotFoundError) as error:
        st.error(f"{plain(str(error))}. Other runs are not affected.", title="A file of this run cannot be read")
        st.stop()


def identity(path: Path) -> Identity | None:
    """What changes when a file does; None where there is none.

    Handed to cached functions that read the file: its name there must not begin with _, or the cache ignores it.
    """
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    return info.st_mtime_ns, info.st_size


def document(path: Path) -> Any:
    """A JSON file, or None where there is none."""
    return _document(str(path), identity(path))


@st.cache_data(max_entries=2000, show_spinner=False)
def _document(path: str, identity: Identity | None) -> Any:
    return read_json(Path(path), None)


def plan(run_id: str) -> Plan:
    return workspace().plan(run_id)


def report(key: str) -> dict[str, Any] | None:
    """A model's report.json; None while it is not finished, or where its files are damaged."""
    return document(workspace().model(key) / "report.json") if workspace().complete(key) else None


def logits(key: str) -> NDArray[np.float32]:
    """(N, K) of a finished model on the test images."""
    path = workspace().model(key) / "logits.npz"
    return _logits(str(path), identity(path))


@st.cache_data(max_entries=64, show_spinner=False)
def _logits(path: str, identity: Identity | None) -> NDArray[np.float32]:
    return arrays.stored(Path(path))["test"]


class Pictures(NamedTuple):
    """The test split as pages show it: the inputs, items of their kind, labels (N,) or (N, K) of 0 and 1, names of the
    classes."""

    images: Items
    labels: NDArray[Any]
    classes: list[str]
    kind: Kind = PICTURES

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return self.labels.ndim == 2

    def name(self, image: int) -> str:
        """What an image is labelled."""
        if not self.several:
            return self.classes[self.labels[image]]
        return ", ".join(self.classes[index] for index in np.flatnonzero(self.labels[image])) or "nothing"


@st.cache_data(max_entries=8, show_spinner=False)
def _pictures(folder: str) -> Pictures:
    place = Path(folder)
    info = read_json(place / "info.json")
    kind = inputs.of(info["shape"])
    return Pictures(kind.load(place, "test_images"), arrays.load(place / "test_labels.npy"), info["classes"], kind)


def pictures(fingerprint: str) -> Pictures | None:
    """The test images of a data set, named by their content; None where they were not kept."""
    folder = workspace().dataset(fingerprint)
    return _pictures(str(folder)) if (folder / "info.json").is_file() else None


def variants(run_id: str) -> list[Variant]:
    """The run's variants of which the first seed's model is there, in table order. The page ends where none is.

    Those whose model is damaged are left out, which the page says.
    """
    here = workspace()
    for line in comparison.damages(here, [run_id]):
        st.warning(plain(line))
    firsts = [(variant, variant.keys[0]) for variant in plan(run_id).variants]
    found = [variant for variant, key in firsts if here.complete(key) and not damage(here, key)]
    return found or _gone()


def _gone() -> NoReturn:
    st.warning("The models of this run are no longer in the workspace. Resume or duplicate it on the page Runs.")
    st.stop()


def rows(run_ids: list[str], session: str | None = None) -> list[dict[str, Any]]:
    """The comparison's rows of these runs, as they are now. The page ends where there are none."""
    here = workspace()
    state = tuple(identity(here.runs / run_id / name) for run_id in run_ids for name in ("events.jsonl", "result.json"))
    first = [row.keys[0] for run_id in run_ids for row in plan(run_id).variants]
    corrupted = tuple(identity(here.model(key) / FILE) for key in first)
    damaged = tuple(comparison.damages(here, run_ids))
    for line in damaged:
        st.warning(plain(line))
    known = (state, identity(here.sessions), identity(here.models), corrupted, damaged)
    return _rows(str(here.root), tuple(run_ids), session, known) or _gone()


@st.cache_data(max_entries=100, show_spinner=False)
def _rows(root: str, run_ids: tuple[str, ...], session: str | None, identity: Any) -> list[dict[str, Any]]:
    return comparison.rows(Workspace(root), run_ids, session)
