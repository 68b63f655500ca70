"""The arms of an experiment: what one point of a sweep has to train, in which order, and the rows that it makes.

No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kdcore import machine, registry
from kdcore.data.dataset import Dataset
from kdcore.data.splits import Split
from kdcore.distill.scheme import Scheme
from kdcore.distill.source import Find, Given
from kdcore.distill.traits import trait
from kdcore.plan.rules import checks
from kdcore.recipe import Recipe, Teacher, Train
from kdcore.registry import Options
from kdcore.train.order import steps_of
from kdcore.workspace import keys
from kdcore.workspace.plans import Kind, Stage, Variant


def scheme_of(recipe: Recipe) -> Scheme[Any]:
    """The scheme that the Recipe names."""
    return registry.entry_of("scheme", recipe.scheme).implementation(recipe.scheme)


class Arms:
    """The stages and variants of one point of a sweep, made in the order in which they are carried out.

    `files`: what given teachers are made of, and where it is. Raises RecipeError.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, shares: Split, values: dict[str, Any], find: Find):
        self.scheme = scheme_of(recipe)
        entry = registry.entry_of("teacher", recipe.teacher.source)
        self.given = entry.implementation(recipe.teacher.source).given(recipe.teacher.model, dataset, find)
        checks.check(recipe, self.scheme, self.given)
        self.recipe = recipe = self.scheme.adapt(recipe)
        self.dataset, self.shares, self.values = dataset, shares, values
        self.stages: list[Stage] = []
        self.variants: list[Variant] = []
        self.files: dict[str, str] = {}
        teacher = (
            self._given(self.given, entry.traits["stage"])
            if self.given
            else self._trained("teacher", recipe.teacher, recipe.seeds[0])
        )
        others = [
            self._trained(f"teacher {number}", other, recipe.seeds[0] + number - 1)
            for number, other in enumerate(self.scheme.others(recipe), 2)
        ]
        alone = self._alone()
        for method in recipe.controls:
            self._distilled(trait(method, "label"), recipe.student.model, method, [teacher] * len(recipe.seeds))
        distilled = self._scheme(teacher, others, alone)
        self._steps(distilled, teacher)

    def _given(self, given: Given, stage: str) -> str:
        """A teacher that is there already: a finished model as it is, or a stage that takes it in."""
        source = self.recipe.teacher.source
        self.files[given.content] = str(given.place)
        spec = {
            "kind": "given",
            "teacher": registry.entry_of("teacher", source).name,
            "content": given.content,
            **given.spec,
            "data": {"validation": self.recipe.data.validation},
        }
        if given.as_it_is:
            key = given.content
            self.stages.append(
                Stage(key=key, title="", kind="given", variant="", role="teacher", seed=0, spec=spec, macs=given.macs)
            )
        else:
            used = [("dataset", self.recipe.data.source), ("teacher", source)]
            if "model" in given.spec:
                used.append(("architecture", self.recipe.teacher.model))
            key = self._add(spec, "teacher", "teacher", 0, used, macs=given.macs)
        self._row("teacher", "teacher", stage, [key], note=given.note)
        return key

    def _trained(self, name: str, teacher: Teacher, seed: int) -> str:
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
            name, role, kind, why = (
                registry.trait("step", step, trait) for trait in ("label", "variant", "stage", "why")
            )
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
            self._row(name, role, kind, made, parent_name, why or "")
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
        macs: int | None = None,
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
            macs=macs,
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
