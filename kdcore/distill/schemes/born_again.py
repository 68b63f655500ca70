"""Born-again networks: a network teaches its own next generation."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from kdcore.distill.scheme import Link, Scheme
from kdcore.distill.traits import SchemeTraits
from kdcore.recipe import Recipe
from kdcore.registry import Options, register


class BornAgain(Options):
    """Options of born-again networks."""

    generations: int = Field(
        2,
        ge=1,
        le=8,
        description="Generations: how often the student is trained again with the previous one as its teacher. 1: "
        "self-distillation.",
    )


@register(
    "scheme",
    "born_again",
    "Self-distillation: the student alone teaches a fresh copy of itself, which may teach the next",
    source="Furlanello et al. 2018, arXiv:1805.04770",
    options=BornAgain,
    traits=SchemeTraits(label="born again"),
)
class BornAgainScheme(Scheme[BornAgain]):
    """Generation 0 is the student alone; each one teaches the next, and the last is the distilled student."""

    begins = "alone"

    def links(self, recipe: Recipe) -> Sequence[Link]:
        return [Link(f"generation {number}", recipe.student.model) for number in range(1, self.options.generations)]
