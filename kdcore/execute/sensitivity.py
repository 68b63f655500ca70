"""Measures the layer sensitivity of a finished model to pruning or quantization, on validation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdcore import machine
from kdcore.compress.tools import sensitivity as measuring
from kdcore.compress.tools.sensitivity import EvalSet, Kind
from kdcore.data.dataset import load
from kdcore.data.labelling import MANY_LABELS, ONE_LABEL
from kdcore.data.splits import split
from kdcore.data.types import Dataset
from kdcore.export import weights
from kdcore.files import read_json, write_json
from kdcore.recipe import Recipe, parse
from kdcore.workspace.library import Library
from kdcore.workspace.workspace import Workspace

CALIBRATION = 512  # training images, for batch norm
VERSION = 1  # raise it when the same question should be answered again


def sensitivity(
    workspace: Workspace,
    run: str,
    variant: str,
    kind: Kind,
    strengths: Sequence[float] = (),
    *,
    images: int = 1000,
    on_layer: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> dict[str, Any]:
    """The document of `kdcore.compress.tools.sensitivity.measure` for the first seed's model of a run's variant.

    On at most `images` validation images; the test split is not looked at. It is kept beside the model, in
    sensitivity-<kind>.json, and given from there to whoever asks the same. Raises UnknownRun, RecipeError,
    CompressError.
    """
    found = Library(workspace).network(run, variant)
    recipe = parse(read_json(workspace.run(run) / "recipe.json"))
    return of_model(found.folder, recipe, kind, strengths, images=images, on_layer=on_layer) | {"variant": variant}


def of_model(
    folder: Path,
    recipe: Recipe,
    kind: Kind,
    strengths: Sequence[float] = (),
    *,
    images: int = 1000,
    on_layer: Callable[[str, int, int], None] = lambda name, done, of: None,
) -> dict[str, Any]:
    """As `sensitivity`, for the model in `folder`, which was made on the data of this Recipe. Raises CompressError."""
    chosen = tuple(strengths) or measuring.STRENGTHS[kind]
    about = {"hide_classes": list(recipe.data.hide_classes), "validation": recipe.data.validation}
    asked = {"version": VERSION, "strengths": list(chosen), "images": images, "data": about}
    place = folder / f"sensitivity-{kind}.json"
    known = read_json(place, {})
    if known.pop("schema", None) and known.get("asked") == asked:
        return dict(known)
    torch.set_num_threads(machine.threads())
    device = torch.device(machine.device())
    network = weights.load(folder).to(device).eval()
    exam = _exam(recipe, load(recipe.data.source), images, device)
    document = {"asked": asked, **measuring.measure(network, exam, kind, chosen, on_layer)}
    write_json(place, document)
    return document


def _exam(recipe: Recipe, dataset: Dataset, count: int, device: torch.device) -> EvalSet:
    shares = split(dataset, recipe.data)
    validation = shares.validation
    if recipe.data.hide_classes:
        hidden = [dataset.classes.index(name) for name in recipe.data.hide_classes]
        validation = validation[np.isin(dataset.train_labels[validation], hidden, invert=True)]
    chance = np.random.RandomState(0)
    alike = dataset.kind.in_one(dataset.shape)  # one input holds so many examples
    validation, seen = (
        chance.permutation(rows.reshape(-1, alike))[: -(-most // alike)].ravel()
        for rows, most in ((validation, count), (shares.seen, CALIBRATION))
    )
    labels = torch.from_numpy(np.array(dataset.train_labels[validation]))
    one_hot = torch.nn.functional.one_hot(labels.long(), len(dataset.classes)) if labels.ndim == 1 else labels
    return EvalSet(
        _pixels(dataset, validation, device),
        one_hot.float().to(device),
        MANY_LABELS if dataset.multilabel else ONE_LABEL,
        _pixels(dataset, seen, device),
    )


def _pixels(dataset: Dataset, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    return dataset.kind.ready(dataset.kind.tensor(dataset.train_images[rows], device))
