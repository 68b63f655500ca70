"""What is allowed but worth knowing before a run: warnings, each at its field. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.distill.features import AUTO
from kdcore.distill.traits import MethodTraits, TeacherTraits, part_traits
from kdcore.measure import timing
from kdcore.models.cost import Cost
from kdcore.plan.rules.methods import methods
from kdcore.problems import Problem
from kdcore.recipe import Recipe
from kdcore.registry import Options

FEW_SEEDS = 3
MACS_PER_SECOND = 2e10  # about what one thread of a recent processor computes in fp32
Warned = tuple[str, str]  # a field, and what is worth knowing of it


def advice(recipe: Recipe, teacher: Cost | None, student: Cost) -> list[Problem]:
    """Warnings about a Recipe whose networks cost this much. An empty list is good news.

    `teacher`: the cost of the Recipe's `teacher.model`, which is not the teacher where its source has another.
    """
    own = _is_of_architecture(recipe)
    warnings = [
        *_on_networks(recipe, teacher.params if teacher and own else None, student.params),
        *_on_evidence(recipe),
        *_on_training(recipe),
        *_on_timing(recipe, (teacher.macs if teacher and own else 0) + student.macs),
        *_taps(recipe, "student", student),
        *(_taps(recipe, "teacher", teacher) if teacher and own else ()),
    ]
    return [Problem(field, message, "warning") for field, message in warnings]


def _is_of_architecture(recipe: Recipe) -> bool:
    """Whether the teacher has the architecture `teacher.model`."""
    source = recipe.teacher.source
    return registry.entry_of("teacher", source).name == "trained" or TeacherTraits.of(source).architecture


def _on_networks(recipe: Recipe, teacher: int | None, student: int) -> Iterator[Warned]:
    """`teacher`, `student`: their numbers of parameters."""
    if teacher is not None and student >= teacher:
        message = (
            f"The student is not smaller than its teacher ({student:,} parameters against "
            f"{teacher:,}): nothing can be saved by it."
        )
        yield "student.model", message
    if TeacherTraits.of(recipe.teacher.source).uploaded:
        message = (
            "Nobody here knows what this teacher was trained on: if test images were among it, its own accuracy is "
            "too high, and what it teaches is helped by them."
        )
        yield "teacher.source", message


def _on_evidence(recipe: Recipe) -> Iterator[Warned]:
    if len(recipe.seeds) < FEW_SEEDS:
        yield "seeds", f"With fewer than {FEW_SEEDS} seeds hardly any difference can be told from chance."
    if _claims_soft_targets(recipe):
        message = "Without the control on the teacher's hard labels, nobody can tell what its soft targets added."
        yield "controls", message


def _on_training(recipe: Recipe) -> Iterator[Warned]:
    if _mixes(recipe) and any(not part.mixup for part in part_traits(recipe.distill)):
        message = (
            "This method keeps a memory of each image, and with mixup or cutmix an image is a blend of two: what "
            "it remembers is blurred. It is meant to be used without both."
        )
        yield "distill.method", message
    if recipe.data.hide_classes and getattr(recipe.distill, "hard_weight", 0) > 0:
        yield "data.hide_classes", "Labels never name a hidden class: give them no weight, or the student unlearns it."


def _on_timing(recipe: Recipe, macs: int) -> Iterator[Warned]:
    """`macs`: of one image, in the teacher and the student. Their second copy is timed too."""
    seconds, images = recipe.measure.timing_seconds, timing.BATCHES[-1]
    needed = timing.LEAST_PASSES * images * 2 * macs / MACS_PER_SECOND
    if seconds and needed > max(seconds / 2, timing.GRACE_SECONDS):
        message = (
            f"Batches of {images} images of these networks need about {needed:.0f} s of timing: where the budget of "
            f"{seconds:g} s proves too small for them, they are left out."
        )
        yield "measure.timing_seconds", message


def _taps(recipe: Recipe, whose: str, cost: Cost) -> Iterator[Warned]:
    """Taps that a method names and the network lacks: without the warning, the run fails once its training starts."""
    if not cost.taps:
        return
    for at, method in _single_methods(recipe):
        for field in (f"{whose}_tap", f"{whose}_taps"):
            named = getattr(method, field, ())
            taps = [named] if isinstance(named, str) else named
            for tap in (tap for tap in taps if tap not in ("", AUTO, *cost.taps)):
                message = f'The {whose} has no stage "{tap}", so the run would fail. It has: {", ".join(cost.taps)}.'
                yield f"{at}.{field}", message


def _single_methods(recipe: Recipe) -> Iterator[tuple[str, Options]]:
    """Field and options of every method, those of a combination among them."""
    yield from methods(recipe)
    for place, piece in enumerate(getattr(recipe.distill, "parts", ())):
        yield f"distill.parts.{place}.of", piece.of


def _mixes(recipe: Recipe) -> bool:
    return bool(recipe.train.views.mixup or recipe.train.views.cutmix)


def _claims_soft_targets(recipe: Recipe) -> bool:
    role = MethodTraits.of(recipe.distill).role
    controls = {registry.entry_of("method", control).name for control in recipe.controls}
    return role == "distilled" and "hard_labels" not in controls and not recipe.data.hide_classes
