"""Logit standardization, an option of the losses that it was made for (Sun et al. 2024, arXiv:2403.01427)."""

from __future__ import annotations

from kdcore.lazy import torch
from kdcore.registry import by_options

HELP = (
    "Standardize each example's logits, the student's and the teacher's, to mean 0 and standard "
    "deviation 1 before softening, so that the student need not match their scale. "
)


def label(plain: str) -> str:
    """The trait `label` of a method with the option: a table may hold it with and without."""
    return by_options(lambda options: f"{plain}, standardized" if options.standardize else plain)


def standardized(logits: torch.Tensor) -> torch.Tensor:
    """Each row of `logits` (B, K) less its mean, over its standard deviation: algorithm 1 of the paper.

    The same for `a * logits + b`, a > 0. The deviation is the unbiased one (K - 1), as in the authors' code;
    dividing by K instead would be a temperature lower by the factor sqrt((K - 1) / K). A row of equal logits becomes 0.
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (logits.std(dim=1, keepdim=True) + 1e-7)
