"""Joint training: the teacher learns from the labels while it teaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kdcore.distill.scheme import Scheme
from kdcore.distill.traits import SchemeTraits
from kdcore.lazy import nn
from kdcore.recipe import Recipe
from kdcore.registry import Options, register


class Joint(Options):
    """Joint training has no options."""


@register(
    "scheme",
    "joint",
    "Joint training: teacher and student start together; the teacher learns from labels and teaches meanwhile",
    source="online distillation, Anil et al. 2018, arXiv:1804.03235, with one network in the teacher's place",
    options=Joint,
    traits=SchemeTraits(label="joint"),
)
class JointScheme(Scheme[Joint]):
    """The student's teacher is a fresh network of the teacher's kind, on the student's images and budget."""

    begins = "nobody"

    def beside(self, recipe: Recipe) -> Sequence[Options]:
        return (recipe.teacher.model,)

    def lesson(self, method: Any, made: Sequence[nn.Module]) -> Any:
        from kdcore.distill.objectives.together import Jointly

        return Jointly(method, made)
