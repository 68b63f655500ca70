"""Steps that cannot work on the student: told before anything is trained. No torch."""

from __future__ import annotations

from kdcore import registry
from kdcore.problems import Problem, RecipeError
from kdcore.recipe import Recipe


def check(recipe: Recipe) -> None:
    """Raises RecipeError, which says why, for each step that refuses the student's architecture."""
    problems = []
    for index, step in enumerate(recipe.compress):
        refuses = registry.entry_of("step", step).traits.get("refuses")
        if refuses and (reason := refuses(recipe.student.model)):
            problems.append(Problem(f"compress.{index}.step", reason))
    if problems:
        raise RecipeError(problems)
