"""The experiment that most lessons vary: a trained teacher distils a small student on few labelled digits."""

from __future__ import annotations

from typing import Any


def few_labels(labels: int, width: int, *, steps: int = 200, method: str = "kd", **more: Any) -> dict[str, Any]:
    """The document of a Recipe: a student `width` channels wide learns from `labels` labelled images for `steps` steps.
    `more`: further parts of the Recipe, as measure and sweep."""
    return {
        "data": {"source": {"dataset": "digits"}, "labels": labels},
        "teacher": {"model": {"architecture": "cnn", "width": 64}, "train": {"steps": 200, "views": {"shift": 1}}},
        "student": {"model": {"architecture": "cnn", "width": width}},
        "distill": {"method": method, "temperature": 4, "hard_weight": 0.1, "soft_weight": 0.9},
        "train": {"steps": steps, "batch_size": 64, "views": {"shift": 1, "mixup": 1.0}},
        **more,
    }
