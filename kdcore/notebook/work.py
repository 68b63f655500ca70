"""Training, distilling and compressing a person's own networks on images in memory, with the engine of the runs."""

from __future__ import annotations

import copy
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from kdcore import machine, models, registry
from kdcore.compress.step import CompressError, StepResult
from kdcore.compress.traits import StepTraits
from kdcore.distill.method import Method, Unsuitable
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.traits import MethodTraits, taps_teacher
from kdcore.execute.leaving import Facts, leave
from kdcore.execute.material import Made, Material, answering, method_of, settled
from kdcore.export.onnx_file import ExportError
from kdcore.inputs import Held
from kdcore.inputs.augmentation import random as views_are_random
from kdcore.measure.evaluate import evaluate
from kdcore.measure.privacy import members_of
from kdcore.models.cost import macs
from kdcore.notebook import arguments, images, networks
from kdcore.notebook.arguments import Choice
from kdcore.notebook.comparison import Comparison
from kdcore.notebook.images import refuse
from kdcore.notebook.result import Result
from kdcore.problems import first_line
from kdcore.recipe import Train
from kdcore.registry import Options
from kdcore.train import loop
from kdcore.train.checkpoint import Progress
from kdcore.train.logit_cache import ask_all
from kdcore.train.objective import Objective
from kdcore.workspace.plans import Kind, Stage

# Without images beside those that judge a file, a temperature would be fitted on these.
UNCALIBRATED = {
    "temperature": None, "temperature_low": None, "temperature_high": None, "scaled": None,
    "reason": "there are no validation images beside those that judge the file",
}  # fmt: skip

Network = nn.Module | Result
OnEpoch = Callable[[dict[str, Any]], None]
Taps = Mapping[str, Sequence[str]]


def distill(
    teacher: Network | None,
    student: Network,
    train: Any,
    validation: Any,
    test: Any = None,
    method: Choice = "kd",
    *,
    training: Mapping[str, Any] | Train | None = None,
    taps: Taps | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    name: str = "",
    on_epoch: OnEpoch = lambda row: None,
) -> Result:
    """Trains a copy of `student` as `method` says, exports it, and measures the file.

    `teacher`, `student`: modules that give logits (N, K) for images (N, C, H, W), or results of earlier calls. They
    stay as they are. `teacher` is None for methods that ask none, such as label_smoothing.
    `train`, `validation`, `test`: an (images, labels) pair of tensors or arrays, a torch Dataset or a DataLoader (read
    once, into memory); images uint8, which networks get as floats in 0..1, or float as they are; labels (N,), whole
    numbers. `train` may hold labels of -1, or be images alone: then only the teacher teaches. Without `test` the file
    is judged by the validation images. `method`: a name, or a mapping with options, as in a Recipe:
    `{"method": "dkd", "beta": 4}`; `python -m kdcore methods` lists them.
    `training`: the Recipe's fields of `train`, such as `{"epochs": 20, "learning_rate": 0.01, "views": {"shift": 1}}`.
    `taps`: for methods that compare features, the modules to look at, first to last:
    `{"student": ["layer1", "layer2"], "teacher": [...]}`; without it the last one before each change of the maps' size.
    `classes`: their K names. `on_epoch`: hears a row of the history after each epoch.

    Raises RecipeError, whose problems name the argument; Diverged and OutOfMemory from the training.
    """
    chosen = arguments.chosen("method", method)
    task = _call(student, "student", (train, validation, test), training, taps, classes)
    asked = _prepared(teacher, "teacher", task.example, (taps or {}).get("teacher")) if teacher is not None else None
    arguments.check_teacher(chosen, task.own, asked, task.example)
    work = Work("distill", name or MethodTraits.of(chosen).label, MethodTraits.of(chosen).role, seed)
    with _place() as kept, _telling("method", chosen):
        torch.manual_seed(seed)
        method_used = method_of(chosen)
        network = method_used.begin(task.own, asked)
        progress = _learn(task.material, network, task.how, Lesson(method_used, asked), work, Path(kept.name), on_epoch)
        spec = {"method": chosen.model_dump(mode="json"), **_spec(task.how)}
        return _result(task.material, Made(network, progress=progress), work, kept, spec)


def fit(
    network: Network,
    train: Any,
    validation: Any,
    test: Any = None,
    *,
    training: Mapping[str, Any] | Train | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    name: str = "trained on labels",
    on_epoch: OnEpoch = lambda row: None,
) -> Result:
    """Trains a copy of `network` on the labels alone: a teacher, or the student that distillation is compared with.

    Arguments and errors as in `distill`.
    """
    task = _call(network, "network", (train, validation, test), training, None, classes)
    work = Work("train", name, "alone", seed)
    with _place() as kept:
        progress = _learn(task.material, task.own, task.how, None, work, Path(kept.name), on_epoch)
        return _result(task.material, Made(task.own, progress=progress), work, kept, _spec(task.how))


def compress(
    model: Network,
    steps: Choice | Sequence[Choice],
    train: Any,
    validation: Any,
    test: Any = None,
    *,
    teacher: Network | None = None,
    method: Choice = "kd",
    training: Mapping[str, Any] | Train | None = None,
    taps: Taps | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    on_epoch: OnEpoch = lambda row: None,
) -> Result:
    """Applies compression steps to a copy of `model`, in order, and measures each file; the last step's result.

    `result.chain` has all of them, with the model as it came first. `model`: a module, or the result of an earlier
    call. `steps`: one or several, each a name or a mapping as in a Recipe: `["int8"]`,
    `[{"step": "prune_structured", "ratio": 0.5, "finetune": {"steps": 200}}, "int8"]`; `python -m kdcore steps` lists
    them. Fine-tuning learns from `teacher` (without one, from the model as it came) by `method`. Images, `training`
    (of the fine-tuning: its steps and learning rate are the step's), `taps` and the rest as in `distill`; the training
    images also calibrate.

    Raises RecipeError, whose problems name the argument; Diverged and OutOfMemory from the fine-tuning.
    """
    listed = [steps] if isinstance(steps, str | Mapping | Options) else list(steps)
    if not listed:
        refuse("steps", "name one step at least")
    chosen = [arguments.chosen("step", step, f"steps.{place}") for place, step in enumerate(listed)]
    done = (
        [one.stage.spec["step"] for one in model.chain if "step" in one.stage.spec] if isinstance(model, Result) else []
    )
    arguments.check_chain(chosen, [arguments.chosen("step", step) for step in done])
    task = _call(model, "model", (train, validation, test), training, taps, classes)
    by = model if teacher is None else teacher
    lesson = Lesson(
        method_of(arguments.chosen("method", method)),
        _prepared(by, "teacher", task.example, (taps or {}).get("teacher")),
    )
    result = _as_it_is(model, task)
    for place, step in enumerate(chosen):
        result = _step(task, result, step, lesson, Work.of(step, seed), f"steps.{place}", on_epoch)
    return result


def compare(
    items: Sequence[Network], test: Any = None, classes: Sequence[str] | None = None, *, seconds: float = 8.0,
    margin: float = 1.0,
) -> Comparison:  # fmt: skip
    """Results and modules beside each other; `kdcore.compare` has the words. Raises RecipeError."""
    found = [one for one in items if isinstance(one, Result)]
    modules = [one for one in items if not isinstance(one, Result)]
    if not modules:
        return Comparison(found, seconds, margin)
    if test is None:
        refuse("test", "modules are measured first: give (images, labels)")
    given = images.read(test, "test")
    example = networks.example(given)
    own = {id(one): networks.prepared(one, "items", example) for one in modules}
    names = arguments.class_names(classes, networks.classes(next(iter(own.values())), example))
    material = images.material(given.none, given, given, names)
    made = [one if isinstance(one, Result) else _measured(own[id(one)], type(one).__name__, material) for one in items]
    return Comparison(made, seconds, margin)


def _as_it_is(model: Network, task: Call) -> Result:
    """The model before the first step; a result that these very images judge is itself."""
    if isinstance(model, Result) and model.dataset.fingerprint == task.material.dataset.fingerprint:
        return model
    name = model.name if isinstance(model, Result) else "original model"
    return _measured(task.own, name, task.material)


def _measured(network: nn.Module, name: str, material: Material) -> Result:
    """A prepared network as it is: exported, and its file measured."""
    with _place() as kept:
        return _result(material, Made(network), Work("train", name, "teacher", 0), kept, {})


class Call(NamedTuple):
    """What a call is about: `own`, a prepared copy of the network, two images, all images, and the training."""

    own: nn.Module
    example: torch.Tensor
    material: Material
    how: Train


def _call(
    network: Network, argument: str, data: tuple[Any, Any, Any], training: Any, taps: Taps | None, classes: Any
) -> Call:
    parts = _read(*data)
    example = networks.example(parts[0])
    own = _prepared(network, argument, example, (taps or {}).get("student"))
    material = images.material(*parts, arguments.class_names(classes, networks.classes(own, example)))
    return Call(own, example, material, arguments.training_of(training, len(parts[0].images), material))


class Lesson(NamedTuple):
    """Who teaches, and how; no teacher for methods that ask none."""

    method: Method[Any]
    teacher: nn.Module | None


class Work(NamedTuple):
    """What a stage is called."""

    kind: Kind
    name: str
    role: str
    seed: int

    @classmethod
    def of(cls, step: Options, seed: int) -> Work:
        traits = StepTraits.of(step)
        return cls("compress", traits.label, traits.variant, seed)


def _step(
    task: Call, before: Result, step: Options, lesson: Lesson, work: Work, argument: str, on_epoch: OnEpoch
) -> Result:
    with _place() as kept, _telling(argument, step):
        folder = Path(kept.name)
        own = copy.deepcopy(before.model)
        outcome = task.material.compressed(step, own, before.onnx, folder / "scratch", work.seed)
        made = Made(outcome.network, outcome)
        spec: dict[str, Any] = {"step": step.model_dump(mode="json")}
        finetune = getattr(step, "finetune", None)
        if finetune is not None and finetune.steps:
            shorter = task.how.model_copy(update={"steps": finetune.steps, "learning_rate": finetune.learning_rate})
            taught = lesson if finetune.targets == "teacher" else None
            progress = _learn(task.material, outcome.network, shorter, taught, work, folder, on_epoch, outcome)
            made, spec = made._replace(progress=progress), spec | _spec(shorter)
        return _result(task.material, made.finished(), work, kept, spec, before)


def _learn(
    material: Material, network: nn.Module, how: Train, lesson: Lesson | None, work: Work, folder: Path,
    on_epoch: OnEpoch, outcome: StepResult | None = None,
) -> Progress:  # fmt: skip
    shown = material.images()
    objective = _objective(lesson, how, shown) if lesson else Objective()
    assert how.steps
    task = material.task(
        shown, how, how.steps, objective, work.seed, outcome=outcome,
        rate="finetune.learning_rate" if outcome else "training.learning_rate",
    )  # fmt: skip
    with _threads():
        return loop.fit(network, task, folder, on_epoch=on_epoch)


def _objective(lesson: Lesson, how: Train, shown: Held) -> Objective:
    if lesson.teacher is None:
        return DistillationObjective(lesson.method, None)
    whole = taps_teacher(lesson.method.options)
    teacher = answering(copy.deepcopy(lesson.teacher), shown.device, whole=whole)
    if views_are_random(how.views):
        return DistillationObjective(lesson.method, teacher)
    return DistillationObjective(lesson.method, teacher, table=lambda: ask_all(teacher, shown, how.precision))


def _result(
    material: Material, made: Made, work: Work, kept: tempfile.TemporaryDirectory[str], spec: Mapping[str, Any],
    before: Result | None = None,
) -> Result:  # fmt: skip
    """Exports and measures what was made, and leaves it in the folder as the workspace has its models."""
    assert made.network is not None
    network, folder = settled(made.network).requires_grad_(True), Path(kept.name)
    try:
        exported = material.export(made, folder, _graphs())
        found = evaluate(
            folder / "model.onnx", network, material.dataset, material.shares,
            members=_members(material) if made.progress.step else None, came_from=before.onnx if before else None,
        )  # fmt: skip
    except (ExportError, ValueError) as error:
        refuse("model", f"{work.name}: {first_line(error)}")
    if not images.calibrates(material):
        found.report["quality"]["calibration"] |= UNCALIBRATED
    stage = Stage(
        key=secrets.token_hex(32), title=work.name, kind=work.kind, variant=work.name, role=work.role, seed=work.seed,
        parent=before.stage.key if before else None, spec={"kind": work.kind, "data": {}, **spec},
    )  # fmt: skip
    training = _trained(made, network, material.dataset.shape, spec)
    leave(folder, stage, material.dataset, made, Facts(found, None, exported, training, str(material.device)))
    taps = tuple(models.taps(network))
    return Result(work.name, network, images.judged_by(material), taps, before, stage, material.dataset, kept)


def _trained(made: Made, network: nn.Module, shape: Sequence[int], spec: Mapping[str, Any]) -> dict[str, Any]:
    count = made.progress.step * (spec["train"]["batch_size"] if made.progress.step else 0)
    work = 3 * count * macs(network, shape) if count else 0
    return {"seconds": made.progress.seconds, "steps": made.progress.step, "images": count, "work": work}


def _members(material: Material) -> Any:
    labelled = material.shares.labelled
    return members_of(material.dataset, labelled, labelled) if len(labelled) else None


def _read(train: Any, validation: Any, test: Any) -> tuple[images.Given, images.Given, images.Given | None]:
    return (
        images.read(train, "train", labels=False),
        images.read(validation, "validation"),
        images.read(test, "test") if test is not None else None,
    )


def _prepared(given: Any, argument: str, example: torch.Tensor, taps: Sequence[str] | None) -> nn.Module:
    if isinstance(given, Result):
        return networks.prepared(given.model, argument, example, given.taps if taps is None else taps)
    return networks.prepared(given, argument, example, taps)


@contextmanager
def _threads() -> Iterator[None]:
    """As many as a run's worker trains with: small networks are slower on every core, and much slower on busy ones."""
    before = torch.get_num_threads()
    torch.set_num_threads(machine.threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _spec(how: Train) -> dict[str, Any]:
    return {"train": how.model_dump(mode="json", exclude={"epochs", "precision"}), "precision": how.precision}


@contextmanager
def _place() -> Iterator[tempfile.TemporaryDirectory[str]]:
    """A folder that lives as long as the result; it goes at once where there is none."""
    kept = tempfile.TemporaryDirectory(prefix="kdcore-")
    try:
        yield kept
    except BaseException:
        kept.cleanup()
        raise


@contextmanager
def _telling(argument: str, options: Options) -> Iterator[None]:
    """What a method or a step refuses, as a problem of its argument."""
    try:
        yield
    except (Unsuitable, CompressError) as error:
        name = registry.entry_of(argument.partition(".")[0].removesuffix("s"), options).name
        refuse(argument, f"{name}: {error}")


@cache
def _graphs() -> Path:
    """Where exported graphs are kept while this process lives: an equal network is exported in a tenth of the time."""
    folder = Path(_process_folder().name) / "onnx"
    folder.mkdir(exist_ok=True)
    return folder


@cache
def _process_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kdcore-")
