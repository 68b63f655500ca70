"""A candidate from Recipe to figures: its stages are built as any run builds them, and validation images judge it.

What the test images say of a model stands in its folder, as for every stage; nothing here reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore.data.dataset import load
from kdcore.data.splits import split
from kdcore.execute.builder import Builder, builder_of
from kdcore.execute.stages import Stages
from kdcore.files import read_json
from kdcore.inputs import Shape
from kdcore.measure import timing
from kdcore.measure.multilabel import multilabel_quality
from kdcore.measure.peak_memory import peak_memory_mb
from kdcore.plan.plan import plan
from kdcore.recipe import Recipe
from kdcore.search.request import Search
from kdcore.workspace.plans import Plan, Stage
from kdcore.workspace.workspace import Workspace

TRIAL_SECONDS = 1.0  # of timing a candidate beside the reference
BATCH = 64


class Candidate(NamedTuple):
    """A model that was built. `keys`: of all its stages, its own last. `accuracy`: on validation images."""

    keys: tuple[str, ...]
    accuracy: float
    size_bytes: int | None
    coded_bytes: int | None
    macs: int | None
    params: int | None

    @property
    def key(self) -> str:
        return self.keys[-1]


class Candidates:
    """Builds and judges the candidates of one search. `check` raises to end it; `announce` hears the keys of what is
    built next."""

    def __init__(
        self,
        workspace: Workspace,
        search: Search,
        check: Callable[[], None],
        announce: Callable[[Sequence[str]], None],
    ):
        self.workspace, self.search, self.check, self.announce = workspace, search, check, announce
        self.stages: Stages | None = None
        self._kept: Builder | None = None
        self._dataset = load(search.recipe.data.source)
        self._shares = split(self._dataset, search.recipe.data)

    def build(self, recipe: Recipe) -> Candidate:
        """Builds what is missing of this Recipe's last model. Raises what a stage raises, and RecipeError."""
        planned = plan(recipe, self.workspace)
        return self._built(planned, planned.variants[-1].keys[0])

    def reference(self, recipe: Recipe) -> tuple[str, Candidate]:
        """The first row's name and model: the teacher, or the original model."""
        planned = plan(recipe, self.workspace)
        return planned.variants[0].name, self._built(planned, planned.variants[0].keys[0])

    def known(self, recipe: Recipe) -> Candidate | None:
        """The candidate if it is complete already."""
        planned = plan(recipe, self.workspace)
        key = planned.variants[-1].keys[0]
        return self._candidate(_needed(planned, key)) if self.workspace.complete(key) else None

    def _built(self, planned: Plan, key: str) -> Candidate:
        needed = _needed(planned, key)
        self.announce([stage.key for stage in needed])
        self.stages = Stages(self.workspace, planned, self._builder(planned), emit=_unheard, check=self.check)
        self.stages.build(needed)
        return self._candidate(needed)

    def _builder(self, planned: Plan) -> Builder:
        self._kept = self._kept or builder_of(self.workspace, self.search.recipe, planned)
        return self._kept

    def _candidate(self, stages: list[Stage]) -> Candidate:
        folder = self.workspace.model(stages[-1].key)
        report = read_json(folder / "report.json")
        size, cost = report.get("size") or {}, report.get("cost") or {}
        return Candidate(
            tuple(stage.key for stage in stages), self._accuracy(folder),
            size.get("size_bytes"), size.get("coded_bytes"), cost.get("macs"), cost.get("params"),
        )  # fmt: skip

    def _accuracy(self, folder: Path) -> float:
        """Share of the validation images that are right, of the classes that the student was shown; of images with
        several labels, mean average precision."""
        labels, shown = self._validation
        with np.load(folder / "logits.npz", allow_pickle=False) as logits:
            answers = logits["validation"][shown]
        if self._dataset.multilabel:
            return float(multilabel_quality(answers, labels, self._dataset.classes)["map"])
        return float((answers.argmax(axis=1) == labels).mean())

    @cached_property
    def _validation(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the validation images that count, and which these are."""
        labels = np.asarray(self._dataset.train_labels)[self._shares.validation]
        hidden = [self._dataset.classes.index(name) for name in self.search.recipe.data.hide_classes]
        shown = np.isin(labels, hidden, invert=True) if hidden else np.ones(len(labels), bool)
        return labels[shown], shown

    def times(self, path: Path, reference: Path | None, seconds: float = TRIAL_SECONDS) -> dict[str, float]:
        """`latency_ms` and, where that is limited, `batch_ms` (per image), as CPU times of one thread; with `ratio` and
        `batch_ratio`, how many times faster than the reference in the same session."""
        files = {"candidate": path} | ({"reference": reference} if reference else {})
        against = "reference" if reference else "candidate"
        batches = (1, BATCH) if "batch_ms" in self.search.at_most.given else (1,)
        session = timing.session(
            files, against, self._dataset.shape, seconds=seconds, batches=batches, memory=False,
            on_progress=lambda _: self.check(),
        )  # fmt: skip
        return figures_of(session, "candidate", against)

    def memory_mb(self, path: Path) -> float | None:
        return peak_memory_mb(path, self._dataset.shape)

    def file(self, key: str) -> Path | None:
        """The file that runs; None for a teacher that is only a table of answers."""
        path = self.workspace.model(key) / "model.onnx"
        return path if path.is_file() else None

    @property
    def test_labels(self) -> np.ndarray:
        """Of the test images, which are looked at once a search."""
        return np.asarray(self._dataset.test_labels)

    @property
    def shape(self) -> Shape:
        return self._dataset.shape


def figures_of(session: Mapping[str, Any], key: str, reference: str) -> dict[str, float]:
    """What a timing session says of one of its models."""
    found = {
        "latency_ms": timing.milliseconds(session, 1, key),
        "ratio": timing.ratio(session, 1, key, reference).value,
    }
    if str(BATCH) in session["models"][key]["batches"]:
        found["batch_ms"] = timing.milliseconds(session, BATCH, key) / BATCH
        found["batch_ratio"] = timing.ratio(session, BATCH, key, reference).value
    return found


def at_pace(times: Mapping[str, float], reference: Mapping[str, Any]) -> dict[str, float]:
    """The times as if the reference had taken as long as when the search began: the machine's pace changes."""
    found = dict(times)
    for name, ratio in (("latency_ms", "ratio"), ("batch_ms", "batch_ratio")):
        if name in times and reference.get(name):
            found[name] = reference[name] / times[ratio]
    return found


def _needed(planned: Plan, key: str) -> list[Stage]:
    """The stages without which the model of this key cannot be, in their order, its own last."""
    wanted = {key}
    for stage in reversed(planned.stages):
        if stage.key in wanted:
            wanted |= set(stage.inputs)
    return [stage for stage in planned.stages if stage.key in wanted]


def _unheard(kind: str, **facts: Any) -> None:
    """Stages of trials are no stages of the run: its events tell how many trials are done."""
