"""How far OpenVINO's answers agree with those of ONNX Runtime, on test images."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdcore import arrays, inputs
from kdcore.files import read_json
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)

IMAGES = 128


def add_agreement(
    workspace: Workspace, document: dict[str, Any], files: Mapping[str, Path], fingerprints: Mapping[str, str]
) -> None:
    """Adds to the models of a session's `openvino` document their `agreement`, and on how many `images`.

    The share of the first IMAGES test images with the predicted class that ONNX Runtime gave when the model was made;
    where images have several labels, of the single decisions. `fingerprints`: the data set of each model.
    """
    for key, found in document["models"].items():
        if not found["batches"]:
            continue
        try:
            found.update(_agreement(workspace, key, files[key], fingerprints[key]))
        except (OSError, ValueError, KeyError) as error:  # the times are not lost by it
            log.warning("no agreement of %s in OpenVINO: %s", key[:12], error)


def _agreement(workspace: Workspace, key: str, file: Path, fingerprint: str) -> dict[str, Any]:
    from kdcore.export import openvino_runtime

    folder = workspace.dataset(fingerprint)
    kind = inputs.of(read_json(folder / "info.json")["shape"])
    images = kind.load(folder, "test_images")[:IMAGES]
    several = arrays.mapped(folder / "test_labels.npy").ndim > 1
    with np.load(workspace.model(key) / "logits.npz", allow_pickle=False) as logits:
        known = logits["test"][: len(images)]
    given = kind.answers(openvino_runtime.Model(file).logits(kind.feed(images)), images)
    same = (given > 0) == (known > 0) if several else given.argmax(axis=1) == known.argmax(axis=1)
    return {"agreement": float(same.mean()), "images": len(images)}
