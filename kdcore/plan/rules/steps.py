"""The order of the compression steps."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.problems import Problem
from kdcore.recipe import Recipe


def problems(recipe: Recipe) -> Iterator[Problem]:
    """Steps that undo what one before them did, or follow one that makes the file to keep."""
    names = [registry.entry_of("step", step).name for step in recipe.compress]
    for index, name in enumerate(names):
        reasons = (reason for earlier in names[:index] if (reason := _undone(earlier, name)))
        if reason := next(reasons, None):
            yield Problem(f"compress.{index}.step", reason)


def _undone(earlier: str, name: str) -> str | None:
    """Why the step `name` cannot come after another; None where it can."""
    traits = StepTraits.named(earlier)
    if traits.final:
        return f"{name} cannot follow {earlier}, which makes the file that is kept: put {earlier} last"
    reason = traits.undone_by(name)
    return reason and f"{name} cannot follow {earlier}: {reason}"
