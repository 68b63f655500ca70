"""The Recipe: everything that a person asked for, frozen and validated.

The form, the command line, the Python API and "copy as code" all make the same Recipe.

    >>> recipe = parse({"name": "Mine", "distill": {"method": "kd", "temperature": 8}})
    >>> recipe.distill.temperature
    8.0
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from kdcore import json_input, registry
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options

SHOWN = 80  # characters of a wrong value in a message
NO_MAPPING = 'contains no recipe; a recipe is a JSON object, as in {"name": "Mine", "distill": {"method": "kd"}}'
WITHOUT_LABELS = {"method": "kd", "hard_weight": 0.0, "soft_weight": 1.0}  # what a trained model teaches itself by
MOST_DEVICES = 64  # that train one network together
MOST_POINTS = 24  # of a sweep: more than that is no longer a lesson but a cluster job


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


DatasetChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "dataset"))]
ArchitectureChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "architecture"))]
MethodChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "method"))]
TeacherChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "teacher"))]
SchemeChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "scheme"))]
StepChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "step"))]


def _as_name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Data(Part):
    """The images and who sees which of them. The test split is fixed; validation comes out of training."""

    source: DatasetChoice = Field({"dataset": "digits"}, validate_default=True, description="The data set.")
    labels: int | None = Field(
        None, ge=1, description="Labelled examples for the student, the same share of every class. Empty: all."
    )
    transfer: bool = Field(
        False, description="Also distil on the unlabelled rest of the training examples (a transfer set)."
    )
    hide_classes: tuple[Annotated[str, BeforeValidator(_as_name)], ...] = Field(
        (), description="Classes of which the student sees no example in training. Its teacher does."
    )
    validation: float = Field(0.1, ge=0.02, le=0.5, description="Share of the training examples kept for validation.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed that selects the labelled subset.")


class Augmentation(Part):
    """Random views of each batch. Student and teacher always see the same view."""

    shift: int = Field(
        0, ge=0, le=16, description="Shift the image by up to this many pixels each way, filled with zeros."
    )
    flip: bool = Field(False, description="Mirror left to right with probability 0.5. Not for digits or letters.")
    crop: int = Field(
        0, ge=0, le=16, description="Pad by this many pixels (reflected) and crop to the original size at random."
    )
    mixup: float = Field(
        0.0, ge=0, le=8, description="Blend pairs of images; the Beta parameter (Zhang et al. 2018). 0: off."
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=8,
        description="Paste a rectangle of another image; the Beta parameter of its share (Yun et al. 2019). 0: off. "
        "With mixup too, each batch takes one of the two.",
    )


class Train(Part):
    """How a network is trained. The budget is `steps`, or `epochs` over the images that the student sees.

    `added`: as of `registry.Options`.
    """

    added: ClassVar[tuple[str, ...]] = ("nesterov", "test_curve", "lora", "devices")

    steps: int | None = Field(None, ge=1, le=1_000_000, description="Optimizer steps. Instead of epochs.")
    epochs: int | None = Field(None, ge=1, le=10_000, description="Passes over the examples. Instead of steps.")
    batch_size: int = Field(64, ge=2, le=8192, description="Examples per optimizer step.")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with momentum 0.9.")
    nesterov: bool = Field(
        True,
        description="Nesterov's momentum, for SGD. Off: plain momentum, as the published CIFAR-100 recipes have it.",
    )
    learning_rate: float = Field(0.01, gt=0, le=10, description="Peak learning rate.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Weight decay: pulls the weights towards zero.")
    decay_all: bool = Field(
        False,
        description="Apply weight decay to biases and normalisation too, as published recipes do. Off: weights only.",
    )
    schedule: Literal["one_cycle", "cosine", "step", "constant"] = Field(
        "one_cycle", description="Learning-rate schedule. Step: divided by ten at each milestone."
    )
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.625, 0.75, 0.875), max_length=8, description="Milestones of the step schedule, as shares of training."
    )
    warmup: float = Field(
        0.0, ge=0, le=0.5, description="Share of training over which the learning rate rises from zero."
    )
    label_smoothing: float = Field(
        0.0, ge=0, le=0.9, description="Share of each label that is spread over all classes (Szegedy et al. 2016)."
    )
    clip_norm: float = Field(0.0, ge=0, le=1000, description="Maximum norm of the gradient. 0: no clipping.")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Exponential moving average of the weights with this decay per step, which is deployed. 0: off.",
    )
    patience: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Stop after this many epochs without better validation accuracy, and keep the best epoch's "
        "weights. 0: off.",
    )
    lora: int = Field(
        0,
        ge=0,
        le=256,
        description="Train low-rank additions of this rank to the attention's query and value layers, and the "
        "classifier; all other weights stay as they are (LoRA). The deployed file has them merged. For pre-trained "
        "text networks; needs the extra text. 0: train all weights.",
    )
    test_curve: bool = Field(
        False,
        description="Record test accuracy after each epoch too, to compare with papers that print their best test "
        "epoch. It is never used for selection.",
    )
    devices: int = Field(
        1,
        ge=1,
        le=MOST_DEVICES,
        description="GPUs that train one network together: each computes its share of every batch. Batch size, order, "
        "views and the statistics of batch norms are those of the whole batch, so weights differ by rounding alone "
        "(networks with dropout draw differently). Without GPUs: processes that share the cores, which is no faster. "
        "Fine-tuning after a compression step uses one.",
    )
    views: Augmentation = Augmentation()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Precision of training. Auto: bf16 where the hardware is fast at it, else fp32."
    )

    @model_validator(mode="before")
    @classmethod
    def _some_budget(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("steps") is None and value.get("epochs") is None:
            return {**value, "epochs": 30}
        return value

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("takes steps or epochs, not both")
        return self


class Teacher(Part):
    """The large network. It is trained here on all labels, and the pages say so, unless its source is another."""

    source: TeacherChoice = Field(
        {"teacher": "trained"}, validate_default=True, description="Where the teacher comes from."
    )
    model: ArchitectureChoice = Field({"architecture": "cnn", "width": 64}, validate_default=True)
    train: Train = Field(Train(steps=300, views=Augmentation(shift=1)))


class Student(Part):
    """The small network."""

    model: ArchitectureChoice = Field({"architecture": "cnn", "width": 32}, validate_default=True)


class Measure(Part):
    """How the comparison is measured and judged."""

    margin: float = Field(1.0, gt=0, le=20, description="Differences within this many points count as equivalent.")
    timing_seconds: float = Field(8.0, ge=0, le=600, description="Time budget of the timing session. 0: no timing.")
    robustness: bool = Field(
        False,
        title="Accuracy on corrupted inputs",
        description="Measure accuracy on test images with noise, blur, low contrast, pixelation and JPEG artefacts, "
        "at five severities each. Also possible later, on the page Trust.",
    )
    openvino: bool = Field(
        False,
        title="Time in OpenVINO too",
        description="Run each file in OpenVINO as well, in the same timing session. Also possible later, on the page "
        "Compare.",
    )


class Recipe(Part):
    """One experiment: data, teacher, student, distillation, compression, training, measurement, seeds, sweep."""

    schema_: Literal[1] = Field(1, alias="schema")
    name: str = Field("Experiment", min_length=1, max_length=120, description="Name of the run.")
    start: Literal["train", "model"] = Field(
        "train",
        description="What the run makes. Train: a student that learns from a teacher. Model: smaller versions of a "
        "trained model, which teacher.source names; no student is trained, and by default no labels are used.",
    )
    data: Data = Field(default_factory=Data)
    teacher: Teacher = Field(default_factory=Teacher)
    student: Student = Field(default_factory=Student)
    distill: MethodChoice = Field({"method": "kd"}, validate_default=True)
    scheme: SchemeChoice = Field(
        {"scheme": "offline"},
        validate_default=True,
        description="Distillation scheme: which networks teach which, and when.",
    )
    controls: tuple[MethodChoice, ...] = Field(
        (), description="Further methods trained on the same budget, to compare with; above all hard labels."
    )
    compress: tuple[StepChoice, ...] = Field((), max_length=8, description="Steps after distillation, in order.")
    compress_seeds: Literal["first", "all"] = Field("first", description="Compress one seed, or all seeds.")
    train: Train = Field(
        Train(steps=300, views=Augmentation(shift=1, mixup=1.0)), description="The students' training."
    )
    measure: Measure = Measure()
    seeds: tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...] = Field(
        (0, 1, 2),
        min_length=1,
        max_length=20,
        description="One training run of every student per seed, with its own initialisation and order.",
    )
    sweep: dict[str, tuple[Any, ...]] = Field({}, description="Dotted paths and the values of each.")

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _original_teaches(cls, value: Any) -> Any:
        """A trained model, once compressed, learns from itself: any images do, and no labels are needed."""
        if isinstance(value, Mapping) and value.get("start") == "model":
            return {"distill": WITHOUT_LABELS, **value}
        return value

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must differ from each other")
        return self

    def document(self) -> dict[str, Any]:
        """The Recipe as plain JSON types."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> str:
        return json.dumps(self.document(), indent=2, ensure_ascii=False)


def parse(document: Mapping[str, Any]) -> Recipe:
    """A Recipe from a mapping. Raises RecipeError, which names every field that is wrong, for any other value too."""
    _check_shape(document)
    try:
        recipe = Recipe.model_validate(dict(document))
    except ValidationError as error:
        raise RecipeError([_problem(detail) for detail in _causes(error.errors())]) from None
    points(recipe)
    return recipe


def _check_shape(document: Any) -> None:
    if not isinstance(document, Mapping):
        raise RecipeError([Problem("recipe", NO_MAPPING)])
    if found := json_input.fault(document):
        raise RecipeError([Problem(found.path or "recipe", found.message)])


def _causes(details: Iterable[Any]) -> list[Any]:
    """Without the lists that are only too short because items of theirs are wrong."""
    found = list(details)
    above = {detail["loc"][:-1] for detail in found}
    return [detail for detail in found if detail["type"] != "too_short" or detail["loc"] not in above]


def _problem(detail: Any) -> Problem:
    field = ".".join(str(part) for part in detail["loc"]) or "recipe"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail.get("input")
    if detail["type"] == "extra_forbidden":
        return Problem(field, "there is no such field")
    if isinstance(given, str | int | float | bool) or given is None:
        message = f"{_shown(given)} is not accepted: {message}"
    return Problem(field, message)


def _shown(given: Any) -> str:
    text = json.dumps(given)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def override(document: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """The document with `path=value` applied, as `--set` does; values are JSON, or plain text.

    Setting `steps` clears `epochs` beside it, and the other way round. Raises RecipeError.
    """
    _check_shape(document)
    changed = json.loads(json.dumps(document))
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise RecipeError([Problem(path, "write it as path=value, as in train.epochs=2")])
        _assign(changed, path.strip(), _value(text))
        _check_shape(changed)
    return changed


def _value(text: str) -> Any:
    try:
        value = json_input.read(text)
    except json_input.BadJson:
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value


_RIVALS = {"steps": "epochs", "epochs": "steps"}


def _assign(document: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    here = document
    for name in parents:
        here = _child(here, name, path)
    if isinstance(here, list):
        _child(here, last, path)
        here[int(last)] = value
    elif isinstance(here, dict):
        if last in _RIVALS and value is not None:
            here.pop(_RIVALS[last], None)
        if parents and last in registry.PACKAGES and here.get(last) != value:
            here.clear()  # another method, step or architecture has other options
        here[last] = value
    else:
        raise RecipeError([Problem(path, "there is no such field")])


def _child(here: Any, name: str, path: str) -> Any:
    if isinstance(here, list):
        numbers = {str(number): item for number, item in enumerate(here)}
        if name not in numbers:
            raise RecipeError([Problem(path[:SHOWN], f"there is no item {name[:SHOWN]}; the list has {len(here)}")])
        return numbers[name]
    if isinstance(here, dict):
        return here.setdefault(name, {})
    raise RecipeError([Problem(path, "there is no such field")])


class Point(NamedTuple):
    """One point of a sweep: what was set there, and the Recipe without its sweep."""

    values: dict[str, Any]
    recipe: Recipe


def points(recipe: Recipe) -> list[Point]:
    """The sweep's cartesian product; one point where there is no sweep. Raises RecipeError."""
    if not recipe.sweep:
        return [Point({}, recipe)]
    if without := [path for path, values in recipe.sweep.items() if not values]:
        raise RecipeError([Problem(f"sweep.{path}", "give one value at least") for path in without])
    count = math.prod(len(values) for values in recipe.sweep.values())
    if not 1 <= count <= MOST_POINTS:
        raise RecipeError([Problem("sweep", f"makes {count} combinations; 1 to {MOST_POINTS} are accepted")])
    base = recipe.document() | {"sweep": {}}
    made = []
    for values in itertools.product(*recipe.sweep.values()):
        chosen = dict(zip(recipe.sweep, values, strict=True))
        document = base
        for path, value in chosen.items():
            if path != "data.labels" and path.split(".")[0] in ("sweep", "seeds", "name", "schema", "data"):
                raise RecipeError([Problem(f"sweep.{path}", "cannot be varied: it changes what is compared")])
            if path == "data.labels" and not isinstance(value, int):
                raise RecipeError([Problem(f"sweep.{path}", "give whole numbers")])
            document = override(document, [f"{path}={json.dumps(value)}"])
        try:
            made.append(Point(chosen, parse(document)))
        except RecipeError as error:
            raise RecipeError([p._replace(field=f"sweep.{p.field}") for p in error.problems]) from None
    return made
