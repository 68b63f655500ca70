"""Teachers that are no network of ours, in a network's place: an ONNX file that is run, and answers on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdcore import machine
from kdcore.export import runtime
from kdcore.inputs.kind import Items, Kind, fed
from kdcore.workspace.library import ANSWERS

ASKED = 16  # images, of a teacher that is taken in


class NotFinite(ValueError):
    """A teacher answers with NaN or infinity."""


def check_answers(teacher: nn.Module, images: Items, kind: Kind) -> None:
    """Asks a teacher in eval mode about a few inputs of this kind. Raises NotFinite."""
    few = images[np.linspace(0, len(images) - 1, min(ASKED, len(images)), dtype=int)]
    with torch.no_grad():
        finite = teacher(kind.ready(kind.tensor(few))).isfinite().all(dim=1)
    if not finite.all():
        raise NotFinite(
            f"the network's outputs are not finite (NaN or infinity) for {int((~finite).sum())} of {len(few)} "
            f"{kind.many}: its weights are damaged or too large, or it needs another normalisation; use another file"
        )


class OnnxTeacher(nn.Module):
    """Asks an ONNX file, on the CPU. It has answers alone, no features and no gradient."""

    def __init__(self, path: Path):
        super().__init__()
        self._session = runtime.session(path, threads=machine.threads())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(runtime.logits(self._session, fed(images))).to(images.device)

    def __deepcopy__(self, memo: Any) -> OnnxTeacher:
        return self  # a session is never changed, and cannot be copied


class RecordedLogits(nn.Module):
    """A teacher that is not there: what it said of the images is looked up, and it can be asked nothing else."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("this teacher has stored outputs only: it has none for other views")


def recorded(folder: Path, indices: np.ndarray) -> torch.Tensor:
    """What a teacher on record says of these training images: float32 logits (n, K)."""
    with np.load(folder / ANSWERS, allow_pickle=False) as answers:
        return torch.from_numpy(answers["train"][indices])
