"""Steps that cannot work on the student: told before anything is trained. No torch."""

from __future__ import annotations

from kdcore import registry
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe


def check(recipe: Recipe) -> None:
    """Raises RecipeError, which says why, for each step that refuses the student's architecture.

    A step's trait `refuses` is asked with the architecture's options and the names of the steps before.
    """
    problems = []
    before: list[str] = []
    for index, step in enumerate(recipe.compress):
        entry = registry.entry_of("step", step)
        refuses = entry.traits.get("refuses")
        if refuses and (reason := refuses(recipe.student.model, before)):
            problems.append(Problem(f"compress.{index}.step", reason))
        before.append(entry.name)
    if problems:
        raise RecipeError(problems)
