"""What is allowed but worth knowing before a run: warnings, each at its field. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.distill.features import AUTO
from kdcore.distill.traits import parts, trait
from kdcore.models.cost import Cost
from kdcore.problems import Problem
from kdcore.recipe import Recipe

FEW_SEEDS = 3


def advice(recipe: Recipe, teacher: Cost | None, student: Cost) -> list[Problem]:
    """Warnings about a Recipe whose networks cost this much. An empty list is good news.

    `teacher`: the cost of the Recipe's `teacher.model`, which is not the teacher where its source has another.
    """
    source = registry.entry_of("teacher", recipe.teacher.source)
    own = source.name == "trained" or source.traits.get("architecture", False)
    most = teacher.params if teacher and own else None
    told = [
        Problem(field, message, "warning")
        for field, message, applies in (
            (
                "student.model",
                f"The student is not smaller than its teacher ({student.params:,} parameters against "
                f"{most or 0:,}): nothing can be saved by it.",
                most is not None and student.params >= most,
            ),
            (
                "teacher.source",
                "Nobody here knows what this teacher was trained on: if test images were among it, its own accuracy is "
                "too high, and what it teaches is helped by them.",
                source.traits.get("uploaded", False),
            ),
            (
                "seeds",
                f"With fewer than {FEW_SEEDS} seeds hardly any difference can be told from chance.",
                len(recipe.seeds) < FEW_SEEDS,
            ),
            (
                "controls",
                "Without the control on the teacher's hard labels, nobody can tell what its soft targets added.",
                _claims_soft_targets(recipe),
            ),
            (
                "distill.method",
                "This method keeps a memory of each image, and with mixup or cutmix an image is a blend of two: what "
                "it remembers is blurred. It is meant to be used without both.",
                _mixes(recipe) and any(not trait(part, "mixup", True) for part in parts(recipe.distill)),
            ),
            (
                "data.hide_classes",
                "Labels never name a hidden class: give them no weight, or the student unlearns it.",
                bool(recipe.data.hide_classes) and getattr(recipe.distill, "hard_weight", 0) > 0,
            ),
        )
        if applies
    ]
    return [*told, *_taps(recipe, "student", student), *(_taps(recipe, "teacher", teacher) if teacher and own else ())]


def _taps(recipe: Recipe, whose: str, cost: Cost) -> Iterator[Problem]:
    """The stages that a method is to match and that the network does not have: the run would only tell in the end."""
    methods = {f"controls.{place}": one for place, one in enumerate(recipe.controls)} | {"distill": recipe.distill}
    methods |= {
        f"distill.parts.{place}.of": piece.of for place, piece in enumerate(getattr(recipe.distill, "parts", ()))
    }
    for at, method in methods.items():
        for name in (f"{whose}_tap", f"{whose}_taps"):
            asked = getattr(method, name, ())
            for tap in [asked] if isinstance(asked, str) else asked:
                if cost.taps and tap not in ("", AUTO, *cost.taps):
                    message = (
                        f'The {whose} has no stage "{tap}", so the run would fail. It has: {", ".join(cost.taps)}.'
                    )
                    yield Problem(f"{at}.{name}", message, "warning")


def _mixes(recipe: Recipe) -> bool:
    return bool(recipe.train.views.mixup or recipe.train.views.cutmix)


def _claims_soft_targets(recipe: Recipe) -> bool:
    role = registry.entry_of("method", recipe.distill).traits["role"]
    controls = {registry.entry_of("method", control).name for control in recipe.controls}
    return role == "distilled" and "hard_labels" not in controls and not recipe.data.hide_classes
