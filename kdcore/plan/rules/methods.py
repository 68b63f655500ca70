"""The methods of a Recipe with the fields that they stand in."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore.recipe import Recipe
from kdcore.registry import Options


def methods(recipe: Recipe) -> Iterator[tuple[str, Options]]:
    """Field and options of the main method, then of each control."""
    yield "distill", recipe.distill
    yield from ((f"controls.{place}", control) for place, control in enumerate(recipe.controls))
