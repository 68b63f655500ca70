"""Deep mutual learning: two or more students teach each other from the first step on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from kdcore.distill.scheme import Scheme
from kdcore.distill.traits import SchemeTraits
from kdcore.lazy import nn
from kdcore.recipe import ArchitectureChoice, Recipe
from kdcore.registry import Options, register


class Mutual(Options):
    """Options of mutual learning."""

    peers: tuple[ArchitectureChoice, ...] = Field(
        (), max_length=4, description="Networks trained together with the student. Empty: one of the same architecture."
    )


@register(
    "scheme",
    "mutual",
    "Mutual learning: students teach each other during training; no teacher is needed",
    source="Zhang et al. 2018, arXiv:1706.00384, eq. 4 to 7",
    options=Mutual,
    traits=SchemeTraits(label="mutual"),
)
class MutualScheme(Scheme[Mutual]):
    """Each network learns from the labels and from every other one's answers; the student alone is kept."""

    begins = "nobody"

    def beside(self, recipe: Recipe) -> Sequence[Options]:
        return self.options.peers or (recipe.student.model,)

    def lesson(self, method: Any, made: Sequence[nn.Module]) -> Any:
        from kdcore.distill.objectives.together import Mutually

        return Mutually(method, made)
