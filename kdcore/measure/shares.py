"""What the measures of quality share, whether images have one label or several."""

from __future__ import annotations

import numpy as np

ECE_BINS = 15


def check(logits: np.ndarray, shape: tuple[int, ...], classes: int) -> None:
    """Raises ValueError unless logits are finite and of this shape, (N, classes), with N at least 1."""
    if logits.shape != shape or shape[1:] != (classes,) or not len(logits):
        raise ValueError(f"logits {logits.shape} do not fit {shape[0]} labels of {classes} classes")
    if not np.isfinite(logits).all():
        raise ValueError("the model's logits are not finite")


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, 0 where there is no whole; both (K,)."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = ECE_BINS) -> float:
    """Expected calibration error in 0..1 (Guo et al. 2017, eq. 3).

    `confidence`: probability (N,) of the predicted class; `right`: bool (N,). Bins of equal width, each
    with its upper edge.
    """
    gaps = np.bincount(bin_of(confidence, bins), weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Which of so many bins of equal width, each with its upper edge, a confidence in 0..1 falls into: int (N,)."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
