"""One point of a sweep -> the rows that it makes of the comparison, in the order of the work. No torch.

The teacher first, other teachers, the student alone, the controls, who comes between teacher and student, the distilled
student, the compression steps. Of a run that starts from a trained model: that model, then the compression steps. What
follows is made from the keys of what came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from kdcore import machine, registry
from kdcore.compress.traits import StepTraits
from kdcore.data.splits import Split
from kdcore.distill.scheme import Link, Scheme, scheme_of
from kdcore.distill.source import ExternalTeacher
from kdcore.distill.traits import MethodTraits, SchemeTraits, TeacherTraits
from kdcore.models.traits import ArchitectureTraits
from kdcore.recipe import Point, Recipe, Teacher, Train
from kdcore.registry import Options
from kdcore.train.order import steps_of
from kdcore.workspace import keys
from kdcore.workspace.plans import Kind, Stage, Variant

ORIGINAL = "original model"  # the first row of a run that starts from one; its steps are fine-tuned with it as teacher


class Row(NamedTuple):
    """A row of the comparison, and the stages that make its models, one a seed."""

    variant: Variant
    stages: tuple[Stage, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return self.variant.keys


class Setting(NamedTuple):
    """What all stages of one point depend on. `recipe`: as its scheme adapts it. `fingerprint`: of the data set."""

    recipe: Recipe
    scheme: Scheme[Any]
    values: dict[str, Any]
    fingerprint: str
    shares: Split


class Work(NamedTuple):
    """What a stage does. `uses`: the registry entries that take part. `macs`: as in Stage."""

    spec: dict[str, Any]
    uses: Sequence[tuple[str, Options]]
    macs: int | None = None


class Inputs(NamedTuple):
    """The models that a stage takes, as in Stage."""

    parent: str | None = None
    teacher: str | None = None
    others: tuple[str, ...] = ()


class About(NamedTuple):
    """What a row says of itself, as in Variant."""

    name: str
    role: str
    stage: str
    parent: str | None = None
    note: str = ""


def rows(point: Point, given: ExternalTeacher | None, fingerprint: str, shares: Split) -> list[Row]:
    """The rows of one point. `given`: the teacher, where the run does not train it. `fingerprint`: of the data set."""
    scheme = scheme_of(point.recipe)
    if point.recipe.start == "model":
        assert given
        setting = Setting(point.recipe, scheme, point.values, fingerprint, shares)
        original = _given(setting, given, ORIGINAL)
        return [original, *_steps(setting, original, original)]
    setting = Setting(scheme.adapt(point.recipe), scheme, point.values, fingerprint, shares)
    recipe = setting.recipe
    seed = recipe.seeds[0]
    teacher = _given(setting, given) if given else _trained(setting, "teacher", recipe.teacher, seed)
    others = [
        _trained(setting, f"teacher {number}", other, seed + number - 1)
        for number, other in enumerate(scheme.others(recipe), 2)
    ]
    alone = _alone(setting)
    controls = [_control(setting, method, teacher) for method in recipe.controls]
    distilled = _distillation(setting, teacher, others, alone)
    return [teacher, *others, alone, *controls, *distilled, *_steps(setting, distilled[-1], teacher)]


def _given(setting: Setting, given: ExternalTeacher, name: str = "teacher") -> Row:
    """A teacher that is there already: a finished model as it is, or a stage that takes it in."""
    recipe = setting.recipe
    entry = registry.entry_of("teacher", recipe.teacher.source)
    about = About(name, "teacher", TeacherTraits.of(recipe.teacher.source).stage, note=given.note)
    spec = {
        "kind": "given",
        "teacher": entry.name,
        "content": given.content,
        **given.spec,
        "data": {"validation": recipe.data.validation},
    }
    uses = [("dataset", recipe.data.source), ("teacher", recipe.teacher.source)]
    if "model" in given.spec:
        uses.append(("architecture", recipe.teacher.model))
    row = _row(setting, about, Work(spec, uses, given.macs), [(0, Inputs())])
    return _under(row, given.content) if given.as_it_is else row


def _under(row: Row, key: str) -> Row:
    """The same row of one model, which has this key."""
    stages = tuple(stage.model_copy(update={"key": key}) for stage in row.stages)
    return Row(row.variant.model_copy(update={"keys": (key,)}), stages)


def _trained(setting: Setting, name: str, teacher: Teacher, seed: int) -> Row:
    data = setting.recipe.data
    spec = _training("train", teacher.model, teacher.train, len(setting.shares.teacher))
    spec |= {"sees": "teacher", "data": {"validation": data.validation}}
    work = Work(spec, [("dataset", data.source), ("architecture", teacher.model)])
    return _row(setting, About(name, "teacher", "train teacher"), work, [(seed, Inputs())])


def _alone(setting: Setting) -> Row:
    recipe = setting.recipe
    spec = _training("train", recipe.student.model, recipe.train, len(setting.shares.seen))
    spec |= {"sees": "labelled", "data": _student_data(recipe)}
    work = Work(spec, [("dataset", recipe.data.source), ("architecture", recipe.student.model)])
    about = About("student alone", "alone", "train student")
    return _row(setting, about, work, [(seed, Inputs()) for seed in recipe.seeds])


def _control(setting: Setting, method: Options, teacher: Row) -> Row:
    recipe = setting.recipe
    student = Link(MethodTraits.of(method).label, recipe.student.model)
    return _distilled(setting, student, method, teacher.keys * len(recipe.seeds))


def _distillation(setting: Setting, teacher: Row, others: Sequence[Row], alone: Row) -> list[Row]:
    """The distilled student, after whoever comes between it and the first teacher."""
    recipe, scheme = setting.recipe, setting.scheme
    by_itself = scheme.begins == "alone"
    seeds = len(recipe.seeds)
    teachers = alone.keys if by_itself else teacher.keys * seeds
    between = []
    for link in scheme.links(recipe):
        between.append(_distilled(setting, link, recipe.distill, teachers if by_itself else teachers[:1]))
        teachers = between[-1].keys if by_itself else between[-1].keys * seeds
    way = SchemeTraits.of(recipe.scheme).label
    label = ", ".join(filter(None, [MethodTraits.of(recipe.distill).label, way]))
    student = _distilled(
        setting, Link(label, recipe.student.model), recipe.distill, teachers,
        others=tuple(key for other in others for key in other.keys), beside=scheme.beside(recipe),
    )  # fmt: skip
    return [*between, student]


def _distilled(
    setting: Setting,
    network: Link,
    method: Options,
    teachers: Sequence[str],
    *,
    others: tuple[str, ...] = (),
    beside: Sequence[Options] = (),
) -> Row:
    """A network for each of `teachers`, which stand in the order of the seeds, taught by it.

    `others`: teach together with it. `beside`: architectures that are trained along.
    """
    recipe = setting.recipe
    spec = _training("distill", network.model, recipe.train, len(setting.shares.seen))
    spec |= {"sees": "seen", "data": _student_data(recipe), "method": method.model_dump(mode="json")}
    uses = [("dataset", recipe.data.source), ("architecture", network.model), ("method", method)]
    if others:
        spec["weights"] = list(setting.scheme.weights())
    if beside:
        spec |= {
            "scheme": recipe.scheme.model_dump(mode="json"),
            "beside": [ArchitectureTraits.of(model).pinned(model).model_dump(mode="json") for model in beside],
        }
        uses += [("scheme", recipe.scheme), *(("architecture", model) for model in beside)]
    taught = MethodTraits.of(method).teacher and not beside
    inputs = [Inputs(teacher=teacher, others=others) if taught else Inputs() for teacher in teachers]
    about = About(network.label, MethodTraits.of(method).role, "distill")
    return _row(setting, about, Work(spec, uses), zip(recipe.seeds, inputs, strict=False))


def _steps(setting: Setting, student: Row, teacher: Row) -> list[Row]:
    """The compression steps, each on the models of the one before it, the first on the student's."""
    made: list[Row] = []
    parent = student
    for step in setting.recipe.compress:
        parent = _step(setting, step, parent, teacher.keys[0])
        made.append(parent)
    return made


def _step(setting: Setting, step: Options, parent: Row, teacher: str) -> Row:
    recipe = setting.recipe
    traits = StepTraits.of(step)
    spec = {
        "kind": "compress",
        "step": step.model_dump(mode="json", exclude=registry.newer(step)),
        "data": _student_data(recipe),
    }
    uses = [("dataset", recipe.data.source), ("step", step)]
    finetune = getattr(step, "finetune", None)
    if finetune is not None and finetune.steps:
        spec |= {
            "train": _finetuning(setting, finetune),
            "precision": machine.precision(recipe.train.precision),
        }
        if finetune.targets == "teacher":
            spec["method"] = recipe.distill.model_dump(mode="json")
            uses.append(("method", recipe.distill))
    parents = parent.keys[:1] if recipe.compress_seeds == "first" else parent.keys
    models = zip(recipe.seeds, (Inputs(key, teacher) for key in parents), strict=False)
    about = About(traits.label, traits.variant, traits.stage, parent.variant.name, traits.why)
    return _row(setting, about, Work(spec, uses), models)


def _training(kind: Kind, model: Options, train: Train, images: int) -> dict[str, Any]:
    """What a spec says of training a new network on so many images."""
    return {
        "kind": kind,
        "model": ArchitectureTraits.of(model).pinned(model).model_dump(mode="json"),
        "train": _resolved(train, images),
        "precision": machine.precision(train.precision),
    }


def _finetuning(setting: Setting, finetune: Any) -> dict[str, Any]:
    changes = {
        "steps": finetune.steps,
        "epochs": None,
        "learning_rate": finetune.learning_rate,
        "lora": 0,
        "devices": 1,
    }
    return _resolved(setting.recipe.train.model_copy(update=changes), len(setting.shares.seen))


def _resolved(train: Train, images: int) -> dict[str, Any]:
    steps = train.steps or steps_of(train.epochs or 1, images, train.batch_size)
    return train.model_dump(mode="json", exclude={"epochs", "precision", *registry.newer(train)}) | {"steps": steps}


def _student_data(recipe: Recipe) -> dict[str, Any]:
    data = recipe.data
    asked = data.model_dump(mode="json", include={"labels", "transfer", "hide_classes", "validation"})
    return asked | ({"seed": data.seed} if data.labels is not None else {})


def _row(setting: Setting, about: About, work: Work, models: Iterable[tuple[int, Inputs]]) -> Row:
    """The row of the models that `work` makes, one for each seed with its inputs."""
    stages = tuple(_stage(setting, about, work, seed, inputs) for seed, inputs in models)
    made = tuple(stage.key for stage in stages)
    return Row(Variant(**about._asdict(), keys=made, values=setting.values), stages)


def _stage(setting: Setting, about: About, work: Work, seed: int, inputs: Inputs) -> Stage:
    key = keys.stage_key(
        work.spec,
        inputs=[inputs.parent or "", inputs.teacher or "", *inputs.others],
        fingerprint=setting.fingerprint,
        seed=seed,
        entries=keys.versions(work.uses),
    )
    return Stage(
        key=key, title="", kind=work.spec["kind"], variant=about.name, role=about.role, seed=seed,
        spec=work.spec, macs=work.macs, **inputs._asdict(),
    )  # fmt: skip
