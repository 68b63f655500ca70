"""What a distillation method is: a loss over the student's and the teacher's logits."""

from __future__ import annotations

from typing import Generic, TypeVar

from kdcore.lazy import functional, torch
from kdcore.registry import Options

O = TypeVar("O", bound=Options)  # noqa: E741


class Method(Generic[O]):
    """Base of all methods. Made from its validated options; `loss` is called once a step."""

    def __init__(self, options: O):
        self.options = options

    def loss(self, student: torch.Tensor, teacher: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        """Named, already weighted terms; their sum is minimised.

        `student` and `teacher`: logits (B, K) for the same view. `targets`: (B, K) label
        distributions whose rows sum to 1, or to 0 where an image has no label.
        """
        raise NotImplementedError


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the labelled part of the batch; 0 when nothing in it is labelled.

    `logits`, `targets`: (B, K). A row of zeros has no label and does not count.
    """
    likelihood = (targets * functional.log_softmax(logits, dim=1)).sum()
    return -likelihood / targets.sum().clamp(min=1e-6)
