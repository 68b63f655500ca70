"""What networks answer to one image: probabilities, the class or classes, and when a disturbance changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from kdcore.export import runtime
from kdcore.inputs.kind import Disturbance, Items, Kind
from kdcore.inputs.pictures import KIND as PICTURES
from kdcore.measure.quality import log_softmax

Shares = NDArray[np.float64]


class Answer(NamedTuple):
    """`probabilities` (K,): of one label they sum to 1, of several each is a yes. `picked`: the chosen classes."""

    probabilities: Shares
    picked: tuple[int, ...]

    @property
    def confidence(self) -> float | None:
        """The probability of the one class; the least of several; None where there is none."""
        return min((float(self.probabilities[one]) for one in self.picked), default=None)


def answers(model: InferenceSession, given: Items, several: bool, kind: Kind = PICTURES) -> list[Answer]:
    """One for each of the items, one at least. `several`: whether one may have several labels.

    Raises ValueError when the model does not take these images or answers with what is no number.
    """
    said = kind.answers(runtime.logits(model, kind.feed(given)), given)
    return [answer(logits, several) for logits in said]


def answer(logits: NDArray[np.float32], several: bool) -> Answer:
    """Of logits (K,). Raises ValueError for logits that are not finite."""
    if not np.isfinite(logits).all():
        raise ValueError("its answer is not a finite number")
    if several:
        shares = np.exp(-np.logaddexp(0, -logits.astype(np.float64)))
        return Answer(shares, tuple(np.flatnonzero(logits > 0).tolist()))
    return Answer(np.exp(log_softmax(logits[None])[0]), (int(logits.argmax()),))


def support(found: Answer, wanted: Sequence[int], several: bool) -> float:
    """The probability that an answer gives to the class `wanted`; of several, to the least certain of all decisions."""
    if not several:
        return float(found.probabilities[wanted[0]])
    yes = np.isin(np.arange(len(found.probabilities)), wanted)
    return float(np.where(yes, found.probabilities, 1 - found.probabilities).min())


class Fall(NamedTuple):
    """How sure a model stays of the clean answer: `supports` at each strength, and `breaks`, the first strength at
    which it answers something else; None where it never does."""

    supports: tuple[float, ...]
    breaks: float | None


def strengths(about: Disturbance) -> tuple[float, ...]:
    """The strengths at which a disturbance is tried, from 0 to its most."""
    return tuple(np.linspace(0, about.most, 13).round(3).tolist())


def falls(
    models: Mapping[str, InferenceSession],
    one: Items,
    wanted: Sequence[int],
    name: str,
    about: Disturbance,
    several: bool,
    others: Mapping[str, float] = {},
    kind: Kind = PICTURES,
) -> dict[str, Fall]:
    """How each model does on a single item as one disturbance grows while the `others` stay.

    `wanted`: the classes of the clean answer. Raises ValueError, see `answers`.
    """
    steps = strengths(about)
    disturbed = kind.disturbed(one, [{**others, name: value} for value in steps])
    found = {}
    for key, model in models.items():
        said = answers(model, disturbed, several, kind)
        supports = tuple(support(one, wanted, several) for one in said)
        breaks = next((at for at, one in zip(steps, said, strict=True) if one.picked != tuple(wanted)), None)
        found[key] = Fall(supports, breaks)
    return found
