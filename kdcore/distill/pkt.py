"""Probabilistic knowledge transfer (Passalis and Tefas 2018)."""

from __future__ import annotations

from pydantic import Field

from kdcore.distill.features import Embeddings, hard_weight, tap_field
from kdcore.distill.method import StepInputs
from kdcore.distill.traits import MethodTraits
from kdcore.lazy import functional, torch
from kdcore.registry import Options, register

SMALLEST = 1e-7  # added to probabilities inside the logarithm


class Pkt(Options):
    """Options of probabilistic knowledge transfer."""

    similarity_weight: float = Field(
        30_000.0,
        gt=0,
        le=1e8,
        description="Weight of the similarity distributions between the examples of a batch.",
    )
    hard_weight: float = hard_weight()
    student_tap: str = tap_field("student", "the last")
    teacher_tap: str = tap_field("teacher", "the last")


def neighbour_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean over all pairs of p log(p / q), the teacher's conditional probabilities p and the student's q.

    `student`, `teacher`: embeddings (B, ·) of the same images. The probability that image i picks image j as its
    neighbour is their cosine similarity, moved to 0..1, over the row's sum. Passalis and Tefas 2018, section 3;
    the mean instead of the sum as in the authors' code and RepDistiller, whose weight is the default.
    """
    likely, unlikely = _neighbours(teacher), _neighbours(student)
    return (likely * ((likely + SMALLEST) / (unlikely + SMALLEST)).log()).mean()


def _neighbours(embeddings: torch.Tensor) -> torch.Tensor:
    directions = functional.normalize(embeddings, dim=1)
    similarities = (directions @ directions.T + 1) / 2
    return similarities / similarities.sum(dim=1, keepdim=True)


@register(
    "method",
    "pkt",
    "Probabilistic transfer: match the similarity distribution between examples",
    source="Passalis and Tefas 2018, arXiv:1803.10837, section 3; weight as in RepDistiller (Tian et al. 2020)",
    options=Pkt,
    traits=MethodTraits(
        family="features",
        label="student, PKT",
        role="distilled",
        taps=True,
        labels="both",
        formula=(
            r"w_h\,\mathrm{CE}(y, p^s) + w_g\,\overline{P^t \log \tfrac{P^t}{P^s}} \\ P_{ij} = \frac{\tfrac12 (1 + "
            r"\cos(f_i, f_j))}{\sum_j \tfrac12 (1 + \cos(f_i, f_j))}"
        ),
        helps="For networks of different shapes: which examples are neighbours is compared, as probabilities.",
    ),
)
class ProbabilisticTransfer(Embeddings[Pkt]):
    """`hard_weight * CE(student, labels) + similarity_weight * divergence of the neighbourhoods`."""

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        own, other = self.embeddings(seen)
        return {
            "hard": self.options.hard_weight * seen.label_loss(),
            "neighbours": self.options.similarity_weight * neighbour_loss(own, other),
        }
