"""Function matching: a long training on strongly mixed views, with the teacher's answers as the only target."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kdcore.distill.scheme import Scheme
from kdcore.distill.traits import SchemeTraits
from kdcore.recipe import Recipe, Train
from kdcore.registry import Options, register


class FunctionMatching(Options):
    """Options of function matching."""

    longer: float = Field(3.0, ge=1, le=100, description="Factor on the training budget; every student gets the same.")
    mixup: float = Field(1.0, gt=0, le=8, description="Strength of the mixing (Beta parameter); 1: uniform.")


@register(
    "scheme",
    "function_matching",
    "Function matching: long training on strongly mixed views, with the teacher's output for each view",
    source="Beyer et al. 2022, arXiv:2106.05237, sections 3 and 4",
    options=FunctionMatching,
    traits=SchemeTraits(label="function matching"),
)
class FunctionMatchingScheme(Scheme[FunctionMatching]):
    """Every arm's budget is multiplied and its views are mixed; the distilled student drops the labels."""

    def adapt(self, recipe: Recipe) -> Recipe:
        views = recipe.train.views.model_copy(update={"mixup": self.options.mixup})
        changed: dict[str, Any] = {
            "train": recipe.train.model_copy(update={**_longer(recipe.train, self.options.longer), "views": views})
        }
        if hasattr(recipe.distill, "hard_weight"):
            changed["distill"] = recipe.distill.model_copy(update={"hard_weight": 0.0})
        return recipe.model_copy(update=changed)


def _longer(train: Train, times: float) -> dict[str, int]:
    return {unit: round(times * value) for unit in ("steps", "epochs") if (value := getattr(train, unit))}
