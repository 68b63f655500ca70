"""Several teachers at once: their logits are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from kdcore.distill.scheme import Scheme
from kdcore.distill.traits import SchemeTraits
from kdcore.recipe import ArchitectureChoice, Recipe, Teacher
from kdcore.registry import Options, register


class SeveralTeachers(Options):
    """Options of several teachers."""

    others: tuple[ArchitectureChoice, ...] = Field(
        ({"architecture": "cnn", "width": 64},),
        min_length=1,
        max_length=4,
        validate_default=True,
        description="Further teachers, trained like the first, each with another seed.",
    )
    shares: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = Field(
        (), max_length=5, description="Weight of each teacher, the first one first. Empty: equal (the mean)."
    )

    @model_validator(mode="after")
    def _one_share_each(self) -> Self:
        if self.shares and len(self.shares) != 1 + len(self.others):
            raise ValueError(f"shares needs {1 + len(self.others)} numbers, one per teacher, or none")
        return self


@register(
    "scheme",
    "several_teachers",
    "Several teachers: the student learns from the (weighted) mean of their logits",
    source="Hinton et al. 2015, section 5 (ensembles); You et al. 2017, doi:10.1145/3097983.3098135",
    options=SeveralTeachers,
    traits=SchemeTraits(label="by several teachers"),
)
class SeveralTeachersScheme(Scheme[SeveralTeachers]):
    """The logits' mean is the geometric mean of the teachers' distributions, as in Hinton's section 5."""

    def others(self, recipe: Recipe) -> Sequence[Teacher]:
        return [recipe.teacher.model_copy(update={"model": model}) for model in self.options.others]

    def weights(self) -> Sequence[float]:
        shares = self.options.shares or (1.0,) * (1 + len(self.options.others))
        return [share / sum(shares) for share in shares]
