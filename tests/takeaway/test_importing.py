"""A whole run as a zip: it arrives as it left, and nothing arrives of a file that is not what it says."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile

import numpy as np
import pytest

from kdcore.files import lock
from kdcore.problems import RecipeError
from kdcore.report import comparison
from kdcore.takeaway.importing import NotImported, import_run
from kdcore.takeaway.run import MANIFEST, run_zip
from kdcore.workspace.state import state
from kdcore.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def whole(workspace, run):
    """The files in the zip of the run, by name."""
    with zipfile.ZipFile(io.BytesIO(run_zip(workspace, run))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def other(tmp_path):
    return Workspace(tmp_path / "other").ensure()


@pytest.fixture
def take(other, tmp_path):
    """Imports these files as a zip; `links` are made links, `packed` is how they are stored."""

    def taken(content, links=(), packed=zipfile.ZIP_STORED):
        path = tmp_path / "run.zip"
        with zipfile.ZipFile(path, "w", packed) as archive:
            for name, data in content.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (stat.S_IFLNK if name in links else stat.S_IFREG) << 16
                archive.writestr(info, data, packed)
        return import_run(other, path)

    return taken


def left(workspace):
    """Every file and folder in the workspace but those that each has."""
    return sorted(
        str(path.relative_to(workspace.root)) for path in workspace.root.rglob("*") if path.parent != workspace.root
    )


def changed(data, **fields):
    return json.dumps(json.loads(data) | fields).encode()


def one(whole, ending):
    """The first name that ends so."""
    return next(name for name in whole if name.endswith(ending))


def session(whole):
    return next(name for name in whole if name.startswith("sessions/"))


def test_a_run_shows_the_same_elsewhere(workspace, run, whole, other, take):
    found = take(whole)
    assert (found.run, found.known) == (run, 0)
    assert comparison.rows(other, [run]) == comparison.rows(workspace, [run])
    assert state(other.run(run)) == "done"
    assert not list(other.cache.iterdir())
    assert not {"log.txt", "status.json", "heartbeat"} & {path.name for path in other.run(run).iterdir()}


def test_what_is_here_already_is_kept(workspace, run, whole, other, take):
    key = workspace.plan(run).variants[0].keys[0]
    shutil.copytree(workspace.model(key), other.model(key))
    kept = (other.model(key) / "report.json").stat().st_ino
    assert take(whole).known == 1
    assert (other.model(key) / "report.json").stat().st_ino == kept
    before = left(other)
    with pytest.raises(NotImported, match="already"):
        take(whole)
    assert left(other) == before


def test_a_model_that_is_being_made_is_waited_for(workspace, run, whole, other, take):
    folder = other.model(workspace.plan(run).variants[-1].keys[0])
    folder.mkdir()
    with lock(folder / "lock"), pytest.raises(NotImported, match="import the file when"):
        take(whole)
    assert left(other) == [f"models/{folder.name}", f"models/{folder.name}/lock"]


def test_a_run_that_has_not_ended_does_not_leave(workspace, run, tmp_path):
    copy = Workspace(tmp_path / "copy").ensure()
    shutil.copytree(workspace.run(run), copy.runs / run)
    (copy.runs / run / "result.json").unlink()
    with pytest.raises(RecipeError, match="has not ended"):
        run_zip(copy, run)


def arrays(shape):
    """An .npy file that says it has this shape and has hardly a byte."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def pickled():
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    return file.getvalue()


HOSTILE = {
    "up": lambda whole: {**whole, "../../evil.json": b"{}"},
    "absolute": lambda whole: {**whole, "/tmp/evil.json": b"{}"},
    "unknown": lambda whole: {**whole, "runs/extra.py": b"import os"},
    "in a model": lambda whole: {**whole, one(whole, "model.onnx").replace(".onnx", ".pkl"): b""},
    "another model": lambda whole: {**whole, f"models/{'ab' * 32}/done.json": b'{"files": {}}'},
    "bad key": lambda whole: {**whole, "models/XYZ/done.json": b"{}"},
    "no manifest": lambda whole: {name: data for name, data in whole.items() if name != MANIFEST},
    "another id": lambda whole: whole | {MANIFEST: changed(whole[MANIFEST], run="260101-000000-abcdef")},
    "newer": lambda whole: whole | {MANIFEST: changed(whole[MANIFEST], schema=99)},
    "changed model": lambda whole: whole | {one(whole, "model.onnx"): b"x" * len(whole[one(whole, "model.onnx")])},
    "short model": lambda whole: whole | {one(whole, "logits.npz"): b"x"},
    "not ended": lambda whole: {name: data for name, data in whole.items() if not name.endswith("result.json")},
    "bad plan": lambda whole: whole | {one(whole, "plan.json"): b'{"stages": [], "variants": [{"keys": []}]}'},
    "deep": lambda whole: whole | {one(whole, "recipe.json"): b"[" * 100_000},
    "meta": lambda whole: whole | {one(whole, "meta.json"): changed(whole[one(whole, "meta.json")], turn="1")},
    "session": lambda whole: whole | {(name := session(whole)): changed(whole[name], models={})},
    "images": lambda whole: whole | {one(whole, "test_images.npy"): arrays((10**9, 8, 8, 1))},
    "pickle": lambda whole: whole | {one(whole, "test_labels.npy"): pickled()},
}


@pytest.mark.parametrize("made", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_and_leave_nothing(whole, other, take, made):
    with pytest.raises(NotImported) as refused:
        take(made(whole))
    assert "\n" not in str(refused.value)
    assert not left(other)


def test_links_bombs_and_broken_zips_are_refused(whole, other, take, tmp_path):
    with pytest.raises(NotImported, match="link"):
        take(whole, links=[one(whole, "recipe.json")])
    with pytest.raises(NotImported, match="unpacks to"):
        take({one(whole, "events.jsonl"): bytes(2**25)}, packed=zipfile.ZIP_DEFLATED)
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as archive:
        for name, data in whole.items():
            archive.writestr(name, data)
    data = bytearray(broken.read_bytes())
    data[len(data) // 2] ^= 255
    broken.write_bytes(data)
    with pytest.raises(NotImported):
        import_run(other, broken)
    assert not left(other)


def test_an_import_that_breaks_off_takes_back_what_it_moved(whole, other, take, monkeypatch):
    here, complete = other.root, Workspace.complete

    def full(workspace, key):
        if workspace.root == here and len(list(workspace.models.iterdir())) > 2:
            raise OSError(28, "No space left on device")
        return complete(workspace, key)

    monkeypatch.setattr(Workspace, "complete", full)
    with pytest.raises(NotImported, match="No space left"):
        take(whole)
    assert {path.rpartition("/")[2] for path in left(other) if path.count("/") > 1} <= {"lock"}
