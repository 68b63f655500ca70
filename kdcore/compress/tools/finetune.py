"""Training after a step that breaks something: short, and with the Recipe's method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.registry import Options


class Finetune(Options):
    """How the compressed network is trained further. Batch size and views are the Recipe's."""

    steps: int = Field(100, ge=0, le=1_000_000, description="Optimizer steps of fine-tuning. 0: none.")
    learning_rate: float = Field(0.003, gt=0, le=10, description="Peak learning rate of fine-tuning.")
    targets: Literal["teacher", "labels"] = Field(
        "teacher",
        description="Learn from the teacher, as in distillation (of a trained model: from the original, by default "
        "without labels), or from labels alone.",
    )
