"""How closely a student follows its teacher on the test images: predicted classes and probabilities."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kdcore import arrays
from kdcore.measure.quality import log_softmax
from kdcore.workspace.workspace import Workspace


class Fidelity(NamedTuple):
    """`kl`: mean KL(teacher ‖ student) over the images, nats. `logit_error`: see the function of this name."""

    kl: float
    logit_error: float | None


def fidelity(workspace: Workspace, key: str, teacher: str, *, several: bool) -> Fidelity | None:
    """A finished model against its teacher, both by key; None where one of them has no logits of the test images.

    `several`: whether an image may have several labels.
    """
    student, taught = (workspace.model(one) / "logits.npz" for one in (key, teacher))
    return _fidelity(student, student.stat().st_mtime_ns, taught, taught.stat().st_mtime_ns, several)


@lru_cache(maxsize=4096)
def _fidelity(student: Path, _written: int, teacher: Path, _taught: int, several: bool) -> Fidelity | None:
    own, theirs = _test(student), _test(teacher)
    if own is None or theirs is None:
        return None
    return Fidelity(divergence(theirs, own, several=several), logit_error(theirs, own, several=several))


def divergence(teacher: np.ndarray, student: np.ndarray, *, several: bool = False) -> float:
    """Mean over the images of KL(teacher ‖ student) at T = 1, in nats, at least 0; logits (N, K).

    0: the same probabilities. Where an image may have several labels each of its K answers is a yes or no of its own,
    and their divergences are summed.
    """
    logs = (_log_odds(logits) if several else log_softmax(logits) for logits in (teacher, student))
    theirs, own = logs
    total = (np.exp(theirs) * (theirs - own)).sum() / len(teacher)
    return max(0.0, float(total))


def logit_error(teacher: np.ndarray, student: np.ndarray, *, several: bool = False) -> float | None:
    """The RMS difference of the logits, relative to the RMS of the teacher's logits; logits (N, K).

    The mean of each image's logits is subtracted first, since softmax ignores it; with several labels an image it is
    not, as sigmoid does not ignore it. 0: the same logits; 1: the error of constant logits. A student that is merely
    more confident than its teacher has an error too. None for a teacher whose logits are all equal.
    """
    theirs, own = (logits.astype(np.float64) for logits in (teacher, student))
    if not several:
        theirs, own = (logits - logits.mean(axis=1, keepdims=True) for logits in (theirs, own))
    spread = float((theirs**2).mean())
    return math.sqrt(float(((own - theirs) ** 2).mean()) / spread) if spread else None


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities of yes and of no, float64 (N, K, 2)."""
    wide = logits.astype(np.float64)
    return np.stack([-np.logaddexp(0, -wide), -np.logaddexp(0, wide)], axis=-1)


def _test(path: Path) -> np.ndarray | None:
    return arrays.stored(path).get("test")
