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
    if recipe.start == "model":
        macs = teacher.macs if teacher and own else 0
        return [Problem(*found, "warning") for found in (*_on_source(recipe), *_on_timing(recipe, macs))]
    warnings = [
        *_on_networks(recipe, teacher.params if teacher and own else None, student.params),
        *_on_source(recipe),
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
            f"The student is not smaller than its teacher ({student:,} parameters against {teacher:,}), so it"
            " saves nothing."
        )
        yield "student.model", message


def _on_source(recipe: Recipe) -> Iterator[Warned]:
    if TeacherTraits.of(recipe.teacher.source).uploaded:
        whose = "The model" if recipe.start == "model" else "The teacher"
        message = f"{whose}'s training data is unknown; test examples in it would inflate every accuracy in the table."
        yield "teacher.source", message


def _on_evidence(recipe: Recipe) -> Iterator[Warned]:
    if len(recipe.seeds) < FEW_SEEDS:
        yield "seeds", f"With fewer than {FEW_SEEDS} seeds, few differences will be significant."
    if _claims_soft_targets(recipe):
        message = (
            "Without the control on the teacher's hard labels, the effect of its soft targets cannot be separated."
        )
        yield "controls", message


def _on_training(recipe: Recipe) -> Iterator[Warned]:
    for at, network, train in (
        ("teacher.train", recipe.teacher.model, recipe.teacher.train),
        ("train", recipe.student.model, recipe.train),
    ):
        if train.lora and not getattr(network, "weights", ""):
            yield f"{at}.lora", "LoRA keeps the weights that a network begins with, and here they begin at random."
    if _mixes(recipe) and any(not part.mixup for part in part_traits(recipe.distill)):
        message = (
            "This method keeps a memory of each example, which mixup and cutmix blur by blending two images: "
            "use it without them."
        )
        yield "distill.method", message
    if recipe.data.hide_classes and getattr(recipe.distill, "hard_weight", 0) > 0:
        yield (
            "data.hide_classes",
            (
                "Labels never contain a hidden class: set the weight of the labels to 0, or the student unlearns"
                " that class."
            ),
        )


def _on_timing(recipe: Recipe, macs: int) -> Iterator[Warned]:
    """`macs`: of one image, in the teacher and the student. Their second copy is timed too."""
    seconds, images = recipe.measure.timing_seconds, timing.BATCHES[-1]
    needed = timing.LEAST_PASSES * images * 2 * macs / MACS_PER_SECOND
    if seconds and needed > max(seconds / 2, timing.GRACE_SECONDS):
        message = (
            f"Batches of {images} examples of these networks need about {needed:.0f} s of timing; if the budget"
            f" of {seconds:g} s is too small, they are left out."
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
