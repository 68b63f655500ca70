"""The teacher's answers, remembered where the very same views are shown again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore.inputs import Held
from kdcore.inputs.kind import laid_out
from kdcore.train.precision import autocast

Ask = Callable[[torch.Tensor], torch.Tensor]  # a network, or whoever asks it

LIMIT_BYTES = 256 * 2**20


def ask_all(teacher: nn.Module, images: Held, precision: str) -> torch.Tensor:
    """The teacher's logits (N, K), float32, for all images as they are: no views, no gradient."""
    said, size = [], images.portion
    with torch.no_grad(), autocast(images.device, precision):
        for start in range(0, len(images), size):
            part = images.batch(np.arange(start, min(start + size, len(images))))
            said.append(teacher(laid_out(images.kind.ready(part))).float())
    return torch.cat(said)


class LogitCache:
    """Asks the teacher, and keeps what it said for each (stream of views, step).

    Order and views derive from the seed, so two students of one seed see identical batches, and the
    second one's teacher would compute identical logits. `LIMIT_BYTES` bounds what is kept; beyond it the
    teacher is simply asked again.
    """

    def __init__(self) -> None:
        self._kept: dict[Any, torch.Tensor] = {}
        self._bytes = 0

    def ask(self, teacher: Ask, stream: Any, step: int, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of the teacher for this step's images (B, C, H, W), without gradient."""
        known = self.known((stream, step))
        if known is not None:
            return known
        with torch.no_grad():
            logits = teacher(images).float()
        self.keep((stream, step), logits)
        return logits

    def known(self, name: Any) -> torch.Tensor | None:
        """What was kept under this name."""
        return self._kept.get(name)

    def keep(self, name: Any, logits: torch.Tensor) -> None:
        """Keeps the logits where there is room."""
        if self._bytes + logits.nbytes <= LIMIT_BYTES:
            self._kept[name] = logits
            self._bytes += logits.nbytes
