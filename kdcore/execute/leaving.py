"""What a stage leaves: the files of a finished model in its folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore import arrays, machine
from kdcore.data.types import Dataset
from kdcore.execute.material import Made
from kdcore.export import weights
from kdcore.files import replacing, write_json
from kdcore.measure.evaluate import Evaluation
from kdcore.workspace.integrity import DONE, LEFTOVERS, inventory
from kdcore.workspace.library import ANSWERS
from kdcore.workspace.plans import Stage


class Facts(NamedTuple):
    """What is known of a model beside itself. `described`: what the network is rebuilt from; None where only the code
    that made it knows. `exported`: what the verification said. `training`: its seconds, steps, images and work."""

    measured: Evaluation
    described: dict[str, Any] | None
    exported: dict[str, Any]
    training: dict[str, Any]
    device: str


def leave(folder: Path, stage: Stage, dataset: Dataset, made: Made, facts: Facts) -> None:
    """Writes all but the ONNX file, `done.json` last, and removes what was only needed on the way."""
    if made.network is not None and facts.described is not None:
        weights.save(folder, made.network, facts.described)
    if made.brought and made.brought.answers:
        _keep(folder / ANSWERS, train=made.brought.answers["train"])
    _keep(folder / "logits.npz", **facts.measured.logits)
    if facts.measured.members:
        _keep(folder / "members.npz", **facts.measured.members._asdict())
    report = {
        **facts.measured.report,
        **(made.brought.report if made.brought else {}),
        "export": facts.exported,
        "step": made.outcome.report if made.outcome else [],
        "train": facts.training,
        "environment": machine.describe() | {"device": facts.device},
    }
    write_json(folder / "report.json", report)
    about = {"fingerprint": dataset.fingerprint, "classes": list(dataset.classes), "shape": list(dataset.shape)}
    done = {"stage": stage.model_dump(mode="json"), "dataset": about, "finished": time.time()}
    write_json(folder / DONE, done | {"files": inventory(folder)})
    for leftover in LEFTOVERS:  # only now: what is killed before goes on from the checkpoint
        shutil.rmtree(folder / leftover, ignore_errors=True)


def show(folder: Path, dataset: Dataset) -> None:
    """Leaves the test images where the pages find them."""
    if (folder / "info.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    dataset.kind.save(dataset.test_images, folder, "test_images")
    arrays.save(folder / "test_labels.npy", dataset.test_labels)
    info = {"name": dataset.name, "classes": list(dataset.classes), "shape": list(dataset.shape)}
    write_json(folder / "info.json", info)


def _keep(path: Path, **kept: Any) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **kept)
