"""A whole run as a .zip that another installation imports: its documents, models, test images and timing sessions.

Log, locks and heartbeat stay: they tell of this machine alone. `kdcore.takeaway.importing` reads the file.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kdcore import inputs
from kdcore.files import SCHEMA, read_json
from kdcore.measure.robustness import FILE as ROBUSTNESS
from kdcore.problems import Problem, RecipeError
from kdcore.report.reading import RunFiles
from kdcore.report.sessions import choose_session, newest_first
from kdcore.workspace import shapes
from kdcore.workspace.integrity import DONE, inventory
from kdcore.workspace.state import files
from kdcore.workspace.workspace import Workspace

MANIFEST = "kdcore-run.json"
DOCUMENTS = ("meta.json", "plan.json", "recipe.json", "result.json", "events.jsonl")
LABELS = ("test_labels.npy", "info.json")  # beside the test images


def write_run(workspace: Workspace, run_id: str, file: Path | BinaryIO) -> None:
    """Writes the .zip to `file`.

    Raises UnknownRun, Damaged, and RecipeError for a run that has not ended, has no models, or a damaged one.
    """
    if files(workspace.run(run_id)).result is None:
        _refuse(f"{run_id} has not ended: export it when it has, or cancel it")
    if shapes.kind(shapes.asked(workspace.run(run_id))) == "search":
        _refuse(f"{run_id} is a search, which goes on only where it was made: export a run of its winning recipe")
    run = RunFiles(workspace, run_id)
    if not run.variants:
        _refuse(f"{run_id} has no finished model of its own: there is nothing to compare elsewhere")
    if run.damages:
        _refuse(run.damages[0])
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, _json({"schema": SCHEMA, "run": run_id}))
        for name, content in _content(run):
            if isinstance(content, Path):
                archive.write(content, name)
            else:
                archive.writestr(name, _json(content))


def run_zip(workspace: Workspace, run_id: str) -> bytes:
    """The content of the .zip that `write_run` writes."""
    buffer = io.BytesIO()
    write_run(workspace, run_id, buffer)
    return buffer.getvalue()


def model_keys(run: RunFiles) -> set[str]:
    """The keys of all models that the run's plan makes or shows."""
    shown = {key for variant in run.plan.variants for key in variant.keys}
    return shown | {stage.key for stage in run.plan.stages}


def _refuse(message: str) -> None:
    raise RecipeError([Problem("run", message)])


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False)


def _content(run: RunFiles) -> Iterator[tuple[str, Path | dict[str, Any]]]:
    """The names in the archive, with a file or a JSON document each."""
    workspace = run.workspace
    folder, images = workspace.run(run.id), workspace.dataset(run.plan.dataset["fingerprint"])
    shown = (*inputs.of(run.plan.dataset["shape"]).files("test_images"), *LABELS)
    for below, names in ((folder, DOCUMENTS), (images, shown)):
        yield from (
            (f"{below.parent.name}/{below.name}/{name}", below / name) for name in names if (below / name).is_file()
        )
    for key in sorted(model_keys(run)):
        if workspace.complete(key):
            yield from _model(workspace.model(key))
    for session in _sessions(run):
        yield f"sessions/{session}.json", workspace.sessions / f"{session}.json"


def _model(folder: Path) -> Iterator[tuple[str, Path | dict[str, Any]]]:
    done = read_json(folder / DONE)
    done["files"] = done.get("files") or inventory(folder)  # a model of an earlier version has no hashes
    yield f"models/{folder.name}/{DONE}", done
    later = [ROBUSTNESS] if (folder / ROBUSTNESS).is_file() else []
    for name in dict.fromkeys([*done["files"], *later]):
        yield f"models/{folder.name}/{name}", folder / name


def _sessions(run: RunFiles) -> list[str]:
    """The timing sessions that were made of this run, and the one that its latencies are read from."""
    shown = choose_session(run.workspace, [run])[run.id]
    own = [one for one in newest_first(run.workspace) if run.id in one.get("runs", ())]
    wanted = model_keys(run)
    return sorted({one["id"] for one in (*own, *([shown] if shown else [])) if wanted & one["models"].keys()})
