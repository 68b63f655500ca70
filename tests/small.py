"""The quickstart, cut down to seconds, for tests that need real runs."""

from __future__ import annotations

from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse

CUTS = (
    "teacher.model.width=8",
    "teacher.train.steps=60",
    "student.model.width=8",
    "train.steps=60",
    "compress.0.finetune.steps=30",
    "compress.0.round_to=2",
    "measure.timing_seconds=1",
    "seeds=[0,1]",
)


def small(*assignments: str) -> Recipe:
    """The small quickstart with these changes."""
    return parse(override(preset("quickstart").recipe.document(), [*CUTS, *assignments]))
