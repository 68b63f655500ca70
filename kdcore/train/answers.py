"""The teacher's answers, remembered where another student is about to be shown the very same views."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

LIMIT_BYTES = 256 * 2**20


class Answers:
    """Asks the teacher, and keeps what it said for each (stream of views, step).

    Order and views derive from the seed, so two students of one seed see identical batches, and the
    second one's teacher would compute identical logits. `LIMIT_BYTES` bounds what is kept; beyond it the
    teacher is simply asked again.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, int], torch.Tensor] = {}
        self._bytes = 0

    def ask(self, teacher: nn.Module, stream: Any, step: int, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of the teacher for this step's images (B, C, H, W), without gradient."""
        known = self._kept.get((stream, step))
        if known is not None:
            return known
        with torch.no_grad():
            logits = teacher(images).float()
        if self._bytes + logits.nbytes <= LIMIT_BYTES:
            self._kept[stream, step] = logits
            self._bytes += logits.nbytes
        return logits
