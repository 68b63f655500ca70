"""Relational knowledge distillation: distances and angles between images (Park et al. 2019)."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from kdcore.distill.features import Embeddings, hard_weight, tap_field
from kdcore.distill.method import StepInputs
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, register

NEAREST = 1e-4  # of the mean distance: nearer images have no direction from each other, only rounding


class Rkd(Options):
    """Options of relational distillation."""

    distance_weight: float = Field(
        25.0, ge=0, le=1e5, description="Weight of the distances between pairs of examples (RKD-D)."
    )
    angle_weight: float = Field(50.0, ge=0, le=1e5, description="Weight of the angles within triplets (RKD-A).")
    hard_weight: float = hard_weight()
    student_tap: str = tap_field("student", "the last")
    teacher_tap: str = tap_field("teacher", "the last")

    @model_validator(mode="after")
    def _something_to_match(self) -> Self:
        if not self.distance_weight and not self.angle_weight:
            raise ValueError("distance and angle weight must not both be 0: the distillation loss would be zero")
        return self


def distance_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Huber loss of all pairwise distances, each network's in units of its own mean distance.

    `student`, `teacher`: embeddings (B, ·) of the same images. Park et al. 2019, section 3.2.1.
    """
    return functional.smooth_l1_loss(_relative_distances(student), _relative_distances(teacher))


def angle_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Huber loss of the cosines of all angles that two images make at a third; B³ of them.

    `student`, `teacher`: embeddings (B, ·) of the same images. Park et al. 2019, section 3.2.2.
    """
    return functional.smooth_l1_loss(_cosines(student), _cosines(teacher))


def _lengths(differences: torch.Tensor) -> torch.Tensor:
    return differences.square().sum(dim=2).clamp(min=1e-24).sqrt()  # the square root has no gradient at 0


def _mean_length(lengths: torch.Tensor) -> torch.Tensor:
    pairs = len(lengths) * (len(lengths) - 1)
    return (lengths.sum() / max(1, pairs)).clamp(min=1e-12)


def _relative_distances(embeddings: torch.Tensor) -> torch.Tensor:
    """(B, B), over the mean of those that are not an image's with itself."""
    lengths = _lengths(embeddings[None] - embeddings[:, None])
    return lengths / _mean_length(lengths)


def _cosines(embeddings: torch.Tensor) -> torch.Tensor:
    """(B, B, B): of the angle at image i between images j and k."""
    differences = embeddings[None] - embeddings[:, None]
    lengths = _lengths(differences)
    shortest = NEAREST * _mean_length(lengths).detach()
    directions = differences / lengths.clamp(min=shortest)[..., None]
    return directions @ directions.transpose(1, 2)


@register(
    "method",
    "rkd",
    "Relations: match the teacher's distances and angles between examples",
    source="Park et al. 2019, arXiv:1904.05068, section 3.2",
    options=Rkd,
    traits=MethodTraits(
        family="features",
        label="student, RKD",
        role="distilled",
        taps=True,
        labels="both",
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_d\,\mathrm{Huber}(d^s_{ij}, d^t_{ij}) \\ + "
            r"w_\angle\,\mathrm{Huber}(\cos \theta^s_{ijk}, \cos \theta^t_{ijk})"
        ),
        helps=(
            "For networks of different shapes: distances and angles between examples are compared. The angles need "
            "memory for the third power of the batch size."
        ),
    ),
)
class RelationalDistillation(Embeddings[Rkd]):
    """`hard_weight * CE(student, labels) + distance_weight * RKD-D + angle_weight * RKD-A`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        own, other = self.embeddings(seen)
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "distances": self.options.distance_weight * distance_loss(own, other),
            "angles": self.options.angle_weight * angle_loss(own, other),
        }
