"""What a scheme is: which networks teach which, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from kdcore import registry
from kdcore.lazy import nn
from kdcore.recipe import Recipe, Teacher
from kdcore.registry import Options

O = TypeVar("O", bound=Options)  # noqa: E741


class Link(NamedTuple):
    """A network between the first teacher and the student. `label`: its row in the table. `model`: its architecture."""

    label: str
    model: Options


class Scheme(Generic[O]):
    """Base of all schemes. Made from its validated options; what a scheme does not care about stays as here.

    The plan asks `adapt`, `begins`, `links`, `others` and `beside`, without torch; the worker asks `lesson`.
    """

    # What teaches first: the teacher, the student alone (a network's own earlier self), or no earlier network.
    begins: Literal["teacher", "alone", "nobody"] = "teacher"

    def __init__(self, options: O):
        self.options = options

    def adapt(self, recipe: Recipe) -> Recipe:
        """The Recipe that runs: the same changes for every arm, so that budgets stay equal."""
        return recipe

    def links(self, recipe: Recipe) -> Sequence[Link]:
        """Networks that are taught one after another, each by the one before it; the last teaches the student."""
        return ()

    def others(self, recipe: Recipe) -> Sequence[Teacher]:
        """Further teachers, which teach together with the first."""
        return ()

    def weights(self) -> Sequence[float]:
        """What the teachers' logits count, the first teacher's first; they sum to 1. Empty: there is one teacher."""
        return ()

    def beside(self, recipe: Recipe) -> Sequence[Options]:
        """Architectures that are trained in the same stage as the student, and not kept."""
        return ()

    def lesson(self, method: Any, made: Sequence[nn.Module]) -> Any:
        """The lesson of a scheme that trains the networks `made` beside the student."""
        raise NotImplementedError


def scheme_of(recipe: Recipe) -> Scheme[Any]:
    """The scheme that the Recipe names."""
    return registry.entry_of("scheme", recipe.scheme).implementation(recipe.scheme)
