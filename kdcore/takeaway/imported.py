"""What an imported run must be: documents of the known shapes, models as their hashes say, and all that fits together.

The run is looked at in a workspace of its own, by the very functions that pages and reports call.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.lib import format as npy

from kdcore import inputs
from kdcore.files import read_json
from kdcore.measure.robustness import FILE as ROBUSTNESS
from kdcore.report import comparison, robustness, sessions
from kdcore.report.reading import RunFiles
from kdcore.takeaway.run import model_keys
from kdcore.workspace import integrity
from kdcore.workspace.integrity import DONE
from kdcore.workspace.state import files
from kdcore.workspace.workspace import Workspace

MODEL_FILES = (
    DONE, ROBUSTNESS, "report.json", "architecture.json", "history.jsonl", "logits.npz", "members.npz", "answers.npz",
    "model.onnx", "model.safetensors", "model.coded",
)  # fmt: skip


class Unfit(ValueError):
    """What came is not a run that this version can show; the message says what is wrong."""


def check(came: Workspace, run_id: str) -> None:
    """Raises Unfit or Damaged unless all that is in this workspace is one whole run that has ended."""
    if files(came.run(run_id)).result is None:
        _refuse(f"run {run_id} has not ended")
    run = RunFiles(came, run_id)
    wanted = model_keys(run)
    for folder in came.models.iterdir():
        if folder.name not in wanted:
            _refuse(f"model {folder.name[:12]} does not belong to the run")
        _check_model(folder)
    for folder in came.datasets.iterdir():
        _check_images(folder, run)
    try:
        _look(run, wanted)
    except Unfit:
        raise
    except Exception as error:  # whatever does not fit: a page would show it to everybody
        _refuse(f"its results do not fit together ({error!r:.120})")


def _refuse(message: str) -> NoReturn:
    raise Unfit(message)


def _check_model(folder: Path) -> None:
    """Its files are those that done.json names, and as they were; what is loaded later cannot do harm."""
    name = f"model {folder.name[:12]}"
    done: Any = read_json(folder / DONE, None)
    written = done.get("files") if isinstance(done, dict) else None
    if not isinstance(written, dict):
        _refuse(f"{name}: {DONE} has no hashes")
    if {path.name for path in folder.iterdir()} - {DONE, ROBUSTNESS} != set(written) - {DONE, ROBUSTNESS}:
        _refuse(f"{name}: there are other files than {DONE} names")
    if reason := integrity.damage(folder, None):
        _refuse(f"{name}: {reason}")
    stage = done.get("stage", {})
    if not isinstance(stage, dict) or stage.get("key", folder.name) != folder.name:
        _refuse(f"{name}: {DONE} is of another model")
    for path in folder.glob("*.npz"):
        _check_arrays(path)
    if (folder / "model.onnx").exists():
        _check_onnx(folder / "model.onnx", name)


def _check_onnx(path: Path, name: str) -> None:
    from kdcore.export.external_onnx import ForeignModel
    from kdcore.export.onnx_reading import opened

    try:
        opened(path)
    except ForeignModel as error:
        _refuse(f"{name}: {path.name}: {error}")


def _check_arrays(path: Path) -> None:
    """Raises Unfit unless the file holds numbers, as many as it has bytes for, so that loading it stays cheap."""
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                whole = _whole(file, path.stat().st_size)
        else:
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
                whole = all(one.compress_type == zipfile.ZIP_STORED for one in infos)
                whole = whole and all(_whole(archive.open(one), one.file_size) for one in infos)  # type: ignore[arg-type]
    except Exception:  # what numpy and zipfile say of broken files has no common base
        whole = False
    if not whole:
        _refuse(f"{path.parent.name[:12]}/{path.name} does not hold the arrays that it should")


def _whole(file: BinaryIO, size: int) -> bool:
    with file:
        read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(file)
        return not kind.hasobject and file.tell() + kind.itemsize * math.prod(shape) == size


def _check_images(folder: Path, run: RunFiles) -> None:
    """The test images are those of the run's data set, and as many as it has."""
    dataset = run.plan.dataset
    if folder.name != dataset["fingerprint"]:
        _refuse(f"the data set {folder.name[:12]} does not belong to the run")
    about: Any = read_json(folder / "info.json", None)
    if not isinstance(about, dict) or any(about.get(name) != dataset[name] for name in ("name", "classes", "shape")):
        _refuse("info.json does not describe the run's data set")
    kind = inputs.of(dataset["shape"])
    for name in (*kind.files("test_images"), "test_labels.npy"):
        if not (folder / name).is_file():
            _refuse(f"the data set has no {name}")
        if name.endswith(".npy"):
            _check_arrays(folder / name)
    labels = np.load(folder / "test_labels.npy", mmap_mode="r")
    if not kind.fits(folder, "test_images", dataset["shape"], dataset["test"]):
        _refuse(f"{kind.files('test_images')[0]} has {kind.many} of another size or number than the plan")
    classes = len(dataset["classes"])
    single = labels.shape == (dataset["test"],) and labels.dtype.kind in "iu"
    if not (single and bool(((labels >= 0) & (labels < classes)).all())) and labels.shape != (dataset["test"], classes):
        _refuse("test_labels.npy does not fit the plan's classes")


def _look(run: RunFiles, wanted: set[str]) -> None:
    """Asks for all that pages and reports show of the run, in each of its timing sessions."""
    if not run.variants:
        _refuse("it has no finished model")
    came = run.workspace
    comparison.documents(came, [run.id])
    robustness.measured(came, run.id)
    for path in came.sessions.iterdir():
        session = read_json(path)
        if session["id"] != path.stem or not wanted & session["models"].keys():
            _refuse(f"the timing session {path.stem} does not belong to the run")
        rows = comparison.rows(came, [run.id], path.stem)
        for row in rows:
            comparison.differences(came, rows, row)
        names = {row["model_key"]: row["variant"] for row in rows}
        sessions.gpu_note(session, names), sessions.openvino_note(session, names), sessions.turned(session, names)
