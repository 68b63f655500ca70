"""A run's files as the report needs them: its plan, its finished models, its labels."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kdcore import arrays
from kdcore.files import read_json
from kdcore.report.quality import Quality
from kdcore.workspace import shapes
from kdcore.workspace.plans import Variant as Planned
from kdcore.workspace.workspace import Workspace

Measure = Literal["accuracy", "mAP", "bits"]
READ = ("logits.npz", "members.npz")  # of a model's files, beside the JSON
NEARLY_EMPTY = 0.98  # share of zeros of a layer through which little comes
NAMED = 3  # layers that are named
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, BadZipFile, zlib.error)


class Model(NamedTuple):
    """What a finished stage measured on its ONNX file. `answers`: the class chosen for each test image, (N,);
    of images with several labels, whether each is, (N, K).

    A teacher that is only a file of soft labels has an empty `size` and `cost`; `quality` and `answers` are empty too
    where the file does not tell about the test images. `nearly_empty`: layers that its step left few weights, and their
    share of zeros. `trainable`: how many parameters were trained, where LoRA left the others as they were.
    """

    key: str
    quality: dict[str, Any]
    size: dict[str, Any]
    cost: dict[str, Any]
    train_seconds: float
    answers: NDArray[Any]
    privacy: dict[str, Any]
    nearly_empty: tuple[tuple[str, float], ...] = ()
    trainable: int | None = None

    @property
    def measure(self) -> Measure:
        """What it is judged by: of images with several labels, mean average precision."""
        return "mAP" if "map" in self.quality else "accuracy"

    @property
    def accuracy(self) -> float:
        """Share of the test images that are right; of several labels, those whose whole label set is."""
        return self.quality["correct"] / self.quality["n"]

    @property
    def score(self) -> float:
        """The measure that it is judged by, a fraction."""
        return self.quality["map"] if self.measure == "mAP" else self.accuracy

    @property
    def judged_by(self) -> Measure:
        """What verdicts and charts are about: of a language model, bits a character; else its measure."""
        return "bits" if "bits" in self.quality else self.measure

    @property
    def merit(self) -> float:
        """What verdicts compare, more being better: the score, or the bits a character that it does not take."""
        return self.judged.merit

    @property
    def judged(self) -> Quality:
        """What verdicts and charts are about."""
        return Quality(self.judged_by, self.quality["bits"] if self.judged_by == "bits" else self.score)


class MeasuredVariant(NamedTuple):
    """A row of the comparison whose first seed is finished.

    `models` holds one Model a seed, in the Recipe's order, and None for a seed that has not finished;
    the first is the one whose file is deployed. `teacher` is the first seed's teacher, or its own.
    """

    name: str
    role: str
    stage: str
    models: tuple[Model | None, ...]
    teacher: Model | None
    parent: str | None
    values: dict[str, Any]
    note: str

    @property
    def first(self) -> Model:
        model = self.models[0]
        assert model
        return model

    @property
    def finished(self) -> list[Model]:
        return [model for model in self.models if model]


class RunFiles:
    """One run, read from its folder. Raises UnknownRun, Damaged. A timing session is a run without variants."""

    def __init__(self, workspace: Workspace, run_id: str):
        self.workspace, self.id = workspace, run_id
        folder = workspace.run(run_id)
        self.plan = workspace.plan(run_id)
        self.recipe = shapes.asked(folder)
        self.result: Mapping[str, Any] = shapes.result(folder) or {}

    @cached_property
    def variants(self) -> list[MeasuredVariant]:
        """The finished rows, in table order."""
        planned = self.plan.variants
        teachers = {stage.key: stage.teacher for stage in self.plan.stages}
        found = []
        for row in planned:
            models = tuple(model(self.workspace, key) for key in row.keys)
            if models[0] is None:
                continue
            asked = teachers.get(row.keys[0]) or _teacher_of(row, planned)
            teacher = model(self.workspace, asked) if asked else None
            fields = row.model_dump(include={"name", "role", "stage", "parent", "values", "note"})
            fields["note"] = " ".join(filter(None, (row.note, _emptied(models[0]))))
            found.append(MeasuredVariant(**fields, models=models, teacher=teacher))
        return found

    @property
    def damages(self) -> list[str]:
        """A line for each planned model that was finished and whose files are damaged since."""
        lines = []
        for row in self.plan.variants:
            seeds = len(row.keys)
            for place, key in enumerate(row.keys, start=1):
                if reason := damage(self.workspace, key):
                    which = f", seed {place} of {seeds}" if seeds > 1 else ""
                    lines.append(f"{row.name}{which}: its model is damaged ({reason}): resume {self.id}")
        return lines

    @property
    def keys(self) -> list[str]:
        """The models whose files are deployed and timed: the first seed's of each finished row that has a file."""
        return [variant.first.key for variant in self.variants if variant.first.size]

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """The test images' classes, (N,), or label sets, (N, K); None when the data set's folder is gone."""
        path = self.workspace.dataset(self.plan.dataset["fingerprint"]) / "test_labels.npy"
        return arrays.load(path) if path.exists() else None


def _emptied(model: Model) -> str:
    """Which layers are nearly empty, in a sentence; nothing where none is."""
    layers = model.nearly_empty
    if not layers:
        return ""
    named = ", ".join(f"{name} ({100 * share:.1f} % zeros)" for name, share in layers[:NAMED])
    more = f" and {len(layers) - NAMED} more" if len(layers) > NAMED else ""
    return f"Nearly empty layers: {named}{more}. Little signal passes through them."


def agrees(values: dict[str, Any], others: dict[str, Any]) -> bool:
    """Whether two rows can belong to one point of a sweep: no value that both have differs."""
    return all(others.get(path, value) == value for path, value in values.items())


def model(workspace: Workspace, key: str) -> Model | None:
    """The finished model of this key; None where there is none, or its files cannot be read."""
    folder = workspace.model(key)
    if not workspace.complete(key) or workspace.damage(key, READ):
        return None
    try:
        return _model(folder, (folder / "report.json").stat().st_mtime_ns)
    except UNREADABLE:
        return None


def damage(workspace: Workspace, key: str) -> str | None:
    """What is wrong with a finished model that cannot be shown; None where nothing is, or it was never finished."""
    found = workspace.damage(key, READ)
    if not found and workspace.complete(key) and model(workspace, key) is None:
        return "its report and its logits do not match"
    return found


@lru_cache(maxsize=1024)
def _model(folder: Path, _written: int) -> Model:
    report = read_json(folder / "report.json")
    said = arrays.stored(folder / "logits.npz").get("test", np.empty((0, 1)))
    quality, size, cost = (report[part] or {} for part in ("quality", "size", "cost"))
    privacy = report.get("privacy", {})
    answers = said > 0 if "map" in quality else said.argmax(axis=1)
    train = report.get("train", {})
    rows = [row for row in report.get("step", []) if "zeros" in row and row.get("sparsity", 0) >= NEARLY_EMPTY]
    emptied = tuple((row["name"], row["sparsity"]) for row in rows)
    return Model(
        folder.name, quality, size, cost, train.get("seconds", 0.0), answers, privacy, emptied, train.get("trainable")
    )


def _teacher_of(row: Planned, planned: Sequence[Planned]) -> str | None:
    if row.role == "teacher":
        return row.keys[0]
    teachers = (other for other in planned if other.role == "teacher" and agrees(row.values, other.values))
    return next((teacher.keys[0] for teacher in teachers), None)
