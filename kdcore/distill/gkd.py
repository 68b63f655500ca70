"""Generalized knowledge distillation of language models: the teacher judges what the student writes itself (Agarwal et
al. 2024)."""

from __future__ import annotations

import math

from pydantic import Field

from kdcore.distill.method import Method, StepInputs, cross_entropy
from kdcore.distill.traits import MethodTraits
from kdcore.inputs.ids import FIRST
from kdcore.lazy import functional, nn, torch
from kdcore.registry import Options, register


class Gkd(Options):
    """Options of generalized knowledge distillation."""

    own_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the steps (lambda) in which the student learns from its own continuations. 0: from "
        "the data alone.",
    )
    beta: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Which divergence. 0: KL from the teacher, as soft targets; 1: reverse KL; between: "
        "Jensen-Shannon.",
    )
    written: int = Field(16, ge=1, le=256, description="Tokens that the student writes, at most, at a window's end.")
    hard_weight: float = Field(0.1, ge=0, le=100, description="Weight of the labels (hard targets).")
    soft_weight: float = Field(0.9, gt=0, le=100, description="Weight of the divergence from the teacher.")


def generalized_jsd(student: torch.Tensor, teacher: torch.Tensor, beta: float) -> torch.Tensor:
    """Generalized Jensen-Shannon divergence, batch mean, in nats; logits (B, K).

    With P the teacher's probabilities, Q the student's and M = beta P + (1 - beta) Q it is
    beta KL(P ‖ M) + (1 - beta) KL(Q ‖ M): Agarwal et al. 2024, eq. 1. At beta 0 and 1, where that is zero, it is
    KL(P ‖ Q) and KL(Q ‖ P), to which its gradient tends once divided by beta, or by 1 - beta. (The first version of
    TRL's trainer mixed logarithms in the place of probabilities, which is another divergence.)
    """
    log_p, log_q = functional.log_softmax(teacher, dim=1), functional.log_softmax(student, dim=1)
    if beta == 0:
        return _kl(log_p, log_q)
    if beta == 1:
        return _kl(log_q, log_p)
    mixed = torch.logaddexp(log_p + math.log(beta), log_q + math.log(1 - beta))
    return beta * _kl(log_p, mixed) + (1 - beta) * _kl(log_q, mixed)


def _kl(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    return functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def written_on(network: nn.Module, ids: torch.Tensor, kept: int, generator: torch.Generator) -> torch.Tensor:
    """Windows (B, L) whose tokens after the first `kept` the network has drawn, one after the other."""
    text = ids.clone()
    with torch.no_grad():
        for place in range(kept, ids.shape[1]):
            logits = network(text[:, :place]).unflatten(0, (len(ids), place))[:, -1]
            shares = functional.softmax(logits.float(), dim=1).cpu()
            text[:, place] = torch.multinomial(shares, 1, generator=generator)[:, 0].to(ids.device) + FIRST
    return text


@register(
    "method",
    "gkd",
    "GKD: the teacher judges what the student writes",
    source="Agarwal et al. 2024, arXiv:2306.13649, algorithm 1 and eq. 1",
    options=Gkd,
    traits=MethodTraits(
        family="responses",
        label="student, GKD",
        role="distilled",
        writes=True,
        inside=True,  # it asks the teacher about new texts
        formula=r"w_h\,\mathrm{CE}(y, p^s) + w_s\,D_\beta(p^t \,\|\, p^s), \\ x \sim p^s \text{ in a share } \lambda",
        helps=(
            "For language models that write at length: the student learns to go on from its own mistakes, which no "
            "given text holds."
        ),
    ),
)
class GeneralizedDistillation(Method[Gkd]):
    """`hard_weight * CE(student, labels) + soft_weight * D(teacher, student)`, D by `beta` on the data, or, with the
    probability `own_share` in each step, on what the student writes after the beginning of each window. No gradient
    goes through what was drawn (algorithm 1); the labels are those of the data in either case, as in the paper's eq. 4
    without its reward."""

    def prepare(
        self, student: nn.Module, teacher: nn.Module | None, example: StepInputs, images: int
    ) -> nn.Module | None:
        self._student, self._teacher = student, teacher
        return None

    def loss(self, seen: StepInputs) -> dict[str, torch.Tensor]:
        options = self.options
        chance = torch.Generator().manual_seed(seen.seed)
        own = torch.rand(1, generator=chance).item() < options.own_share
        said = self._on_own(seen.shown, chance) if own else (seen.student, seen.teacher)
        return {
            "hard": options.hard_weight * cross_entropy(seen.student, seen.targets),
            "soft": options.soft_weight * generalized_jsd(*said, options.beta),
        }

    def _on_own(self, ids: torch.Tensor | None, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """What student and teacher say, (B * W, K), wherever the student has written."""
        assert ids is not None
        assert self._teacher is not None
        rows, length = ids.shape
        kept = max(1, length - self.options.written)
        text = written_on(self._student, ids, kept, chance)
        with torch.no_grad():
            teacher = self._teacher(text).float()
        both = (self._student(text).float(), teacher)
        student, teacher = (one.unflatten(0, (rows, length))[:, kept - 1 : -1].flatten(0, 1) for one in both)
        return student, teacher
