"""What a candidate will weigh, exactly and before anything is trained: its chain of steps on a network as it begins.

Run as a program it answers for processes without torch: the smallest figures that a search can reach.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore import models, registry
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.masks import layers_of
from kdcore.compress.traits import StepTraits
from kdcore.data.dataset import load
from kdcore.data.labelling import MANY_LABELS, ONE_LABEL
from kdcore.data.splits import split
from kdcore.export import onnx_file, weights
from kdcore.lazy import nn, torch
from kdcore.models.cost import macs
from kdcore.problems import RecipeError
from kdcore.recipe import Recipe
from kdcore.search.request import Search, parse
from kdcore.search.space import Space
from kdcore.train.order import steps_of

IMAGES = 64  # that steps look at: sizes do not depend on them
WEIGHED = ("size_bytes", "macs", "params")


class Weight(NamedTuple):
    """The figures of a candidate that need no training."""

    size_bytes: int
    macs: int
    params: int


class Sketches:
    """Makes sketches for one data set. `original`: the model's folder where a search starts from one."""

    def __init__(self, recipe: Recipe, cache: Path, original: Path | None = None):
        self.dataset = load(recipe.data.source)
        self.cache, self.original = cache, original
        seen = split(self.dataset, recipe.data).seen[:IMAGES]
        kind = self.dataset.kind
        self._images = kind.ready(kind.tensor(self.dataset.train_images[seen]))
        self._targets = self._labels(seen)
        self._known: dict[str, Weight] = {}
        self._layers: dict[str, list[str]] = {}

    def weight(self, recipe: Recipe) -> Weight:
        """Raises CompressError, ExportError or ValueError where the chain does not work on such a network."""
        asked = _asked(recipe)
        if asked not in self._known:
            with self.drawn(recipe) as (_, weight):
                self._known[asked] = weight
        return self._known[asked]

    def layers(self, recipe: Recipe) -> list[str]:
        """The names of the layers of the network that this Recipe makes, in their order. Raises as `weight` does."""
        asked = _asked(recipe)
        if asked not in self._layers:
            with _folder() as folder:
                network, _ = self._carry_out(recipe, folder)
            self._layers[asked] = list(layers_of(network))
        return self._layers[asked]

    @contextmanager
    def drawn(self, recipe: Recipe) -> Iterator[tuple[Path, Weight]]:
        """The untrained file, which computes what the trained one will, and its figures. Raises as `weight` does."""
        with _folder() as folder:
            network, made = self._carry_out(recipe, folder)
            path = made or self._exported(network, folder)
            params = sum(parameter.numel() for parameter in network.parameters())
            yield path, Weight(path.stat().st_size, macs(network.eval(), self.dataset.shape), params)

    def _carry_out(self, recipe: Recipe, folder: Path) -> tuple[nn.Module, Path | None]:
        """The network after the steps, and the file where the last step makes one."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self._begin(recipe)
            path: Path | None = None
            for step in recipe.compress:
                outcome = self._step(network, step, folder)
                network, path = outcome.network, outcome.onnx
            return network, path

    def _begin(self, recipe: Recipe) -> nn.Module:
        if self.original:
            return weights.load(self.original)
        dataset = self.dataset
        model = recipe.student.model
        network = models.create(model, len(dataset.classes), dataset.shape, dataset.mean, dataset.std, fetch=False)
        with torch.no_grad():  # as after training: constants that are all zero, or alike, leave a file
            for parameter in (one for one in network.parameters() if one.ndim == 1):
                parameter.add_(0.1 * torch.randn_like(parameter))
            network.train()(self._images)
        return network.eval()

    def _step(self, network: nn.Module, step: Any, folder: Path) -> StepResult:
        onnx = self._exported(network, folder) if StepTraits.of(step).final else folder / "model.onnx"
        labelling = MANY_LABELS if self.dataset.multilabel else ONE_LABEL
        material = StepInput(
            network, onnx, self._images, self.dataset.shape, folder, 0, self._targets, labelling
        )  # fmt: skip
        outcome: StepResult = registry.entry_of("step", step).implementation(material, step)
        return outcome.finish(outcome.network.eval()) if outcome.finish else outcome

    def _exported(self, network: nn.Module, folder: Path) -> Path:
        path = folder / "model.onnx"
        images = self._images[:2].numpy()
        onnx_file.export(network.eval(), self.dataset.shape, path, images=images, cache=self.cache)
        return path

    def _labels(self, seen: np.ndarray) -> torch.Tensor:
        labels = np.asarray(self.dataset.train_labels)[seen]
        if self.dataset.multilabel:
            return torch.from_numpy(labels.astype(np.float32))
        return torch.nn.functional.one_hot(torch.from_numpy(labels).long(), len(self.dataset.classes)).float()


def _asked(recipe: Recipe) -> str:
    """What a sketch depends on."""
    return json.dumps([recipe.student.model.model_dump(), [step.model_dump() for step in recipe.compress]])


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sketch-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def train_steps(search: Search) -> int:
    """Optimizer steps of the student's training."""
    train, recipe = search.recipe.train, search.recipe
    images = len(split(load(recipe.data.source), recipe.data).seen)
    return train.steps or steps_of(train.epochs or 1, images, train.batch_size)


def least(search: Search, cache: Path, original: Path | None = None) -> dict[str, int]:
    """The smallest figure of each name that some candidate reaches; none where no chain works."""
    space, sketches = Space(search, train_steps(search)), Sketches(search.recipe, cache, original)
    found = []
    for settings in space.corners():
        try:
            found.append(sketches.weight(space.recipe(settings)))
        except (CompressError, RecipeError, ValueError, RuntimeError):
            continue  # this chain does not work on such a small network; another does
    return {name: min(getattr(weight, name) for weight in found) for name in WEIGHED if found}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    place = Path(asked["original"]) if asked["original"] else None
    print(json.dumps(least(parse(asked["search"]), Path(asked["cache"]), place)))
