"""How often each student recognises a class of which it saw no image."""

from __future__ import annotations

from typing import Any, NamedTuple

from kdcore.report.reading import Model, RunFiles


class Recalled(NamedTuple):
    """Recall of a hidden class by a variant, the mean over its `seeds`; fractions.

    `corrected`: with the class's bias set so that its predicted share on validation equals its prior there.
    """

    variant: str
    hidden: str
    recall: float
    corrected: float
    seeds: int


def recalls(run: RunFiles) -> list[Recalled]:
    """A row for each student and hidden class; none where nothing was hidden."""
    return [
        _recalled(variant.name, name, [_hidden_class(model, name) for model in variant.finished])
        for variant in run.variants
        if variant.role != "teacher"
        for name in run.plan.dataset["hidden"]
    ]


def _hidden_class(model: Model, name: str) -> dict[str, Any]:
    return next(share for share in model.quality["hidden"] if share["class"] == name)


def _recalled(variant: str, name: str, shares: list[dict[str, Any]]) -> Recalled:
    recall, corrected = (
        sum(share[which] for share in shares) / len(shares) for which in ("recall", "recall_corrected")
    )
    return Recalled(variant, name, recall, corrected, len(shares))
