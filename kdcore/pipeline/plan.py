"""Recipe -> plan: which stages there are, in which order, under which keys. No torch.

A stage is listed once however many points of a sweep need it; a variant is a row of the comparison and
names the models, one a seed, that it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from kdcore import machine, registry
from kdcore.data.dataset import Dataset, load
from kdcore.data.splits import Split, split
from kdcore.distill.scheme import Scheme
from kdcore.distill.traits import trait
from kdcore.pipeline import keys
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Part, Recipe, Teacher, Train, points
from kdcore.registry import Options
from kdcore.train.order import steps_of

MOST_STAGES = 400

Kind = Literal["train", "distill", "compress"]


class Stage(Part):
    """One step of the work. `spec` holds all that its result depends on beside its inputs, data and seed.

    `parent`: the model that a step compresses. `teacher` and `others`: the models that teach together.
    """

    key: str
    title: str
    kind: Kind
    variant: str
    role: str
    seed: int
    parent: str | None = None
    teacher: str | None = None
    others: tuple[str, ...] = ()
    spec: dict[str, Any]


class Variant(Part):
    """A row of the comparison: one model a seed. `values` tells the sweep's point that it belongs to."""

    name: str
    role: str
    stage: str
    keys: tuple[str, ...]
    parent: str | None = None
    values: dict[str, Any] = {}
    note: str = ""


class Plan(Part):
    """What a run will do: its data, its stages in an order that works, the rows that they will make."""

    schema_: Literal[1] = 1
    dataset: dict[str, Any]
    precision: str
    stages: tuple[Stage, ...]
    variants: tuple[Variant, ...]

    def document(self) -> dict[str, Any]:
        return {"schema": 1} | self.model_dump(mode="json", exclude={"schema_"})


def plan(recipe: Recipe) -> Plan:
    """The plan of a Recipe on this machine. Raises RecipeError, which names the fields that are wrong."""
    _check_order(recipe)
    _check_methods(recipe)
    dataset = load(recipe.data.source)
    shares = split(dataset, recipe.data)
    precision = machine.precision(recipe.train.precision)
    stages: dict[str, Stage] = {}
    rows: list[Variant] = []
    for point in points(recipe):
        arms = _Arms(point.recipe, dataset, shares, point.values)
        stages |= {stage.key: stage for stage in arms.stages if stage.key not in stages}
        rows += arms.variants
    if len(stages) > MOST_STAGES:
        raise RecipeError([Problem("sweep", f"makes {len(stages)} stages; at most {MOST_STAGES} are accepted")])
    variants = _named(rows)
    return Plan(
        dataset=_describe(dataset, shares, recipe),
        precision=precision,
        stages=tuple(_titled(list(stages.values()), variants)),
        variants=tuple(variants),
    )


def _check_order(recipe: Recipe) -> None:
    problems = []
    for index, step in enumerate(recipe.compress[:-1]):
        entry = registry.entry_of("step", step)
        if entry.traits.get("final"):
            following = registry.entry_of("step", recipe.compress[index + 1]).name
            message = (
                f"{following} cannot follow {entry.name}, which makes the file that is deployed: put {entry.name} last"
            )
            problems.append(Problem(f"compress.{index + 1}.step", message))
    if problems:
        raise RecipeError(problems)


def _check_methods(recipe: Recipe) -> None:
    """What makes no sense: memory banks with mixed images, feature methods where there are no features to match."""
    problems = []
    views = recipe.train.views
    together = scheme_of(recipe).begins == "nobody"
    chosen = [("distill", recipe.distill), *((f"controls.{i}", one) for i, one in enumerate(recipe.controls))]
    for field, method in chosen:
        name = method.method  # type: ignore[attr-defined]
        if (views.mixup or views.cutmix) and not trait(method, "mixup", True):
            message = f"{name} remembers each image, so it cannot work with mixup or cutmix: set both to 0"
            problems.append(Problem(f"{field}.method", message))
        if field == "distill" and together and trait(method, "taps", False):
            message = f"{name} matches features, and {recipe.scheme.scheme} shares answers only: choose another"  # type: ignore[attr-defined]
            problems.append(Problem(f"{field}.method", message))
    if problems:
        raise RecipeError(problems)


def scheme_of(recipe: Recipe) -> Scheme[Any]:
    """The scheme that the Recipe names."""
    return registry.entry_of("scheme", recipe.scheme).implementation(recipe.scheme)


def _describe(dataset: Dataset, shares: Split, recipe: Recipe) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "shape": list(dataset.shape),
        "train": len(shares.teacher),
        "labelled": len(shares.labelled),
        "seen": len(shares.seen),
        "validation": len(shares.validation),
        "test": len(dataset.test_labels),
        "hidden": list(recipe.data.hide_classes),
    }


class _Arms:
    """The stages and variants of one point of a sweep, made in the order in which they are carried out."""

    def __init__(self, recipe: Recipe, dataset: Dataset, shares: Split, values: dict[str, Any]):
        self.scheme = scheme_of(recipe)
        self.recipe = recipe = self.scheme.adapt(recipe)
        self.dataset, self.shares, self.values = dataset, shares, values
        self.stages: list[Stage] = []
        self.variants: list[Variant] = []
        teacher = self._teacher("teacher", recipe.teacher, recipe.seeds[0])
        others = [
            self._teacher(f"teacher {number}", other, recipe.seeds[0] + number - 1)
            for number, other in enumerate(self.scheme.others(recipe), 2)
        ]
        alone = self._alone()
        for method in recipe.controls:
            self._distilled(trait(method, "label"), recipe.student.model, method, [teacher] * len(recipe.seeds))
        distilled = self._scheme(teacher, others, alone)
        self._steps(distilled, teacher)

    def _teacher(self, name: str, teacher: Teacher, seed: int) -> str:
        recipe = self.recipe
        spec = self._spec("train", teacher.model, teacher.train, len(self.shares.teacher))
        spec |= {"sees": "teacher", "data": {"validation": recipe.data.validation}}
        used = [("dataset", recipe.data.source), ("architecture", teacher.model)]
        key = self._add(spec, name, "teacher", seed, used)
        self._row(name, "teacher", "train teacher", [key])
        return key

    def _alone(self) -> list[str]:
        recipe = self.recipe
        spec = self._spec("train", recipe.student.model, recipe.train, len(self.shares.seen))
        spec |= {"sees": "labelled", "data": self._student_data()}
        used = [("dataset", recipe.data.source), ("architecture", recipe.student.model)]
        made = [self._add(spec, "student alone", "alone", seed, used) for seed in recipe.seeds]
        self._row("student alone", "alone", "train student", made)
        return made

    def _scheme(self, teacher: str, others: list[str], alone: list[str]) -> list[str]:
        """The distilled student, after whoever comes between it and the first teacher."""
        recipe, begins = self.recipe, self.scheme.begins
        teachers: list[str] = alone if begins == "alone" else [teacher] * len(recipe.seeds)
        for link in self.scheme.links(recipe):
            taught = self._distilled(link.label, link.model, recipe.distill, teachers, seeds=len(set(teachers)))
            teachers = taught if begins == "alone" else taught * len(recipe.seeds)
        way = registry.entry_of("scheme", recipe.scheme).traits.get("label")
        label = ", ".join(filter(None, [trait(recipe.distill, "label"), way]))
        return self._distilled(
            label, recipe.student.model, recipe.distill, teachers,
            others=tuple(others), beside=self.scheme.beside(recipe),
        )  # fmt: skip

    def _distilled(
        self,
        label: str,
        model: Options,
        method: Options,
        teachers: list[str],
        *,
        seeds: int | None = None,
        others: tuple[str, ...] = (),
        beside: Sequence[Options] = (),
    ) -> list[str]:
        """One network a seed, the first `seeds` of them, taught by the teacher of its seed; its row."""
        recipe = self.recipe
        spec = self._spec("distill", model, recipe.train, len(self.shares.seen))
        spec |= {"sees": "seen", "data": self._student_data(), "method": method.model_dump(mode="json")}
        used = [("dataset", recipe.data.source), ("architecture", model), ("method", method)]
        if others:
            spec["weights"] = list(self.scheme.weights())
        if beside:
            spec |= {"scheme": recipe.scheme.model_dump(mode="json"), "beside": _dumped(beside)}
            used += [("scheme", recipe.scheme), *(("architecture", one) for one in beside)]
        asks = trait(method, "teacher", True) and not beside
        role = trait(method, "role")
        made = [
            self._add(spec, label, role, seed, used, teacher=teacher if asks else None, others=others if asks else ())
            for seed, teacher in zip(recipe.seeds[:seeds], teachers, strict=False)
        ]
        self._row(label, role, "distill", made)
        return made

    def _steps(self, parents: list[str], teacher: str) -> None:
        recipe = self.recipe
        if recipe.compress_seeds == "first":
            parents = parents[:1]
        parent_name = self.variants[-1].name
        for step in recipe.compress:
            entry = registry.entry_of("step", step)
            name, role = entry.traits["label"](step), entry.traits["variant"]
            spec = {"kind": "compress", "step": step.model_dump(mode="json"), "data": self._student_data()}
            used = [("dataset", recipe.data.source), ("step", step)]
            finetune = getattr(step, "finetune", None)
            if finetune is not None and finetune.steps:
                spec |= {"train": self._finetuning(finetune), "precision": machine.precision(recipe.train.precision)}
                if finetune.targets == "teacher":
                    spec["method"] = recipe.distill.model_dump(mode="json")
                    used.append(("method", recipe.distill))
            made = [
                self._add(spec, name, role, seed, used, parent=parent, teacher=teacher)
                for seed, parent in zip(recipe.seeds, parents, strict=False)
            ]
            self._row(name, role, entry.traits["stage"], made, parent_name, entry.traits.get("why", ""))
            parents, parent_name = made, name

    def _spec(self, kind: Kind, model: Options, train: Train, images: int) -> dict[str, Any]:
        return {
            "kind": kind,
            "model": model.model_dump(mode="json"),
            "train": _resolved(train, images),
            "precision": machine.precision(train.precision),
        }

    def _student_data(self) -> dict[str, Any]:
        data = self.recipe.data
        asked = data.model_dump(mode="json", include={"labels", "transfer", "hide_classes", "validation"})
        return asked | ({"seed": data.seed} if data.labels is not None else {})

    def _finetuning(self, finetune: Any) -> dict[str, Any]:
        changed = self.recipe.train.model_copy(
            update={"steps": finetune.steps, "epochs": None, "learning_rate": finetune.learning_rate}
        )
        return _resolved(changed, len(self.shares.seen))

    def _add(
        self,
        spec: dict[str, Any],
        variant: str,
        role: str,
        seed: int,
        used: list[tuple[str, Options]],
        *,
        parent: str | None = None,
        teacher: str | None = None,
        others: tuple[str, ...] = (),
    ) -> str:
        key = keys.stage_key(
            spec,
            inputs=[parent or "", teacher or "", *others],
            fingerprint=self.dataset.fingerprint,
            seed=seed,
            entries=keys.versions(used),
        )
        stage = Stage(
            key=key,
            title="",
            kind=spec["kind"],
            variant=variant,
            role=role,
            seed=seed,
            parent=parent,
            teacher=teacher,
            others=others,
            spec=spec,
        )
        self.stages.append(stage)
        return key

    def _row(
        self, name: str, role: str, stage: str, made: list[str], parent: str | None = None, note: str = ""
    ) -> None:
        row = Variant(name=name, role=role, stage=stage, keys=tuple(made), parent=parent, values=self.values, note=note)
        self.variants.append(row)


def _dumped(choices: Sequence[Options]) -> list[Any]:
    return [choice.model_dump(mode="json") for choice in choices]


def _resolved(train: Train, images: int) -> dict[str, Any]:
    steps = train.steps or steps_of(train.epochs or 1, images, train.batch_size)
    return train.model_dump(mode="json", exclude={"epochs", "precision"}) | {"steps": steps}


def _named(rows: list[Variant]) -> list[Variant]:
    """One row for each set of models, in table order, with names that differ.

    Rows of one name are told apart by the values of the sweep in which they differ.
    """
    distinct = {row.keys: row for row in reversed(rows)}
    ordered = sorted(dict.fromkeys(row.keys for row in rows), key=lambda made: _rank(rows, made))
    by_keys = {}
    for made in ordered:
        row = distinct[made]
        twins = [other for other in distinct.values() if other.name == row.name]
        telling = [path for path in row.values if len({keys.canonical(twin.values[path]) for twin in twins}) > 1]
        name = row.name
        if len(twins) > 1 and telling:
            name += f" ({', '.join(f'{_short(path)} {row.values[path]}' for path in telling)})"
        elif len(twins) > 1:
            name += f" {1 + [twin.keys for twin in reversed(twins)].index(made)}"
        by_keys[made] = row.model_copy(update={"name": name, "values": _values(rows, made)})
    return [_with_parent(row, rows, by_keys) for row in by_keys.values()]


def _values(rows: list[Variant], made: tuple[str, ...]) -> dict[str, Any]:
    """The swept values that these models depend on: all points that they belong to share them, and others do not."""

    def different(path: str, among: list[Variant]) -> bool:
        return len({keys.canonical(row.values[path]) for row in among}) > 1

    mine = [row for row in rows if row.keys == made]
    return {
        path: value for path, value in mine[0].values.items() if different(path, rows) and not different(path, mine)
    }


def _rank(rows: list[Variant], made: tuple[str, ...]) -> tuple[int, int]:
    """Table order: the place of the row within its point, then the point."""
    points_seen: list[list[Variant]] = []
    for row in rows:
        if row.name == "teacher":
            points_seen.append([])
        points_seen[-1].append(row)
    return next(
        (place, number)
        for number, point in enumerate(points_seen)
        for place, row in enumerate(point)
        if row.keys == made
    )


def _with_parent(row: Variant, rows: list[Variant], by_keys: dict[tuple[str, ...], Variant]) -> Variant:
    if row.parent is None:
        return row
    original = next(i for i, other in enumerate(rows) if other.keys == row.keys)
    parent = next(other for other in reversed(rows[:original]) if other.name == row.parent)
    return row.model_copy(update={"parent": by_keys[parent.keys].name})


def _short(path: str) -> str:
    return path.rsplit(".", 1)[-1].replace("_", " ")


def _titled(stages: list[Stage], variants: list[Variant]) -> list[Stage]:
    """Stages with titles that people read: the variant, and the seed where there is more than one."""
    names = {key: variant for variant in variants for key in variant.keys}
    made = []
    for stage in stages:
        variant = names[stage.key]
        title = variant.name if len(variant.keys) == 1 else f"{variant.name}, seed {stage.seed}"
        made.append(stage.model_copy(update={"title": title, "variant": variant.name}))
    return made
