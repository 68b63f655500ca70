"""Teacher assistants: networks of a size between, taught one after another."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from kdcore.distill.scheme import Link, Scheme
from kdcore.distill.traits import SchemeTraits
from kdcore.recipe import ArchitectureChoice, Recipe
from kdcore.registry import Options, register


class Assistants(Options):
    """Options of teacher assistants."""

    chain: tuple[ArchitectureChoice, ...] = Field(
        ({"architecture": "cnn", "width": 48},),
        min_length=1,
        max_length=4,
        validate_default=True,
        description="Assistant networks, from the teacher down to the student.",
    )


@register(
    "scheme",
    "assistants",
    "Teacher assistants: networks of intermediate size, each distilled from the one before, the last"
    " of which teaches the student",
    source="Mirzadeh et al. 2020, arXiv:1902.03393",
    options=Assistants,
    traits=SchemeTraits(label="by an assistant"),
)
class AssistantsScheme(Scheme[Assistants]):
    """Teacher, assistants in order, student: each is distilled from the one before."""

    def links(self, recipe: Recipe) -> Sequence[Link]:
        return [Link(f"assistant {number}", model) for number, model in enumerate(self.options.chain, 1)]
