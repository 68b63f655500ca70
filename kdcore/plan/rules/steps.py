"""The order of the compression steps."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore import registry
from kdcore.problems import Problem
from kdcore.recipe import Recipe


def problems(recipe: Recipe) -> Iterator[Problem]:
    """Steps that undo what one before them did, or follow one that makes the file to keep."""
    entries = [registry.entry_of("step", step) for step in recipe.compress]
    for index, entry in enumerate(entries):
        reasons = (reason for earlier in entries[:index] if (reason := _undone(earlier, entry.name)))
        if reason := next(reasons, None):
            yield Problem(f"compress.{index}.step", reason)


def _undone(earlier: registry.Entry, name: str) -> str | None:
    """Why the step `name` cannot come after another; None where it can."""
    if earlier.traits.get("final"):
        return f"{name} cannot follow {earlier.name}, which makes the file that is kept: put {earlier.name} last"
    reason = earlier.traits["undone_by"](name) if "undone_by" in earlier.traits else None
    return reason and f"{name} cannot follow {earlier.name}: {reason}"
