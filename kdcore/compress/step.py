"""What a compression step is given and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcore.data.labelling import ONE_LABEL, Labelling
from kdcore.inputs import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn


class CompressError(RuntimeError):
    """The step cannot be applied to this network; the message says why."""


class StepInput(NamedTuple):
    """What there is to compress.

    `network`: in evaluation mode on the CPU; a step may change it in place. `onnx`: the exported file of the
    same network. `images`: float32 (n, C, H, W) in [0, 1], training images that the student sees.
    `shape`: (C, H, W). `folder`: for files of the step's own. `seed`: of all its random choices. `targets`: float
    (n, K), what is known of the images, as in a training Task; `labelling` says what they mean.
    `unknown`: of texts, whose ids are `images` (n, L), the id of a token that the tokenizer does not have.
    """

    network: nn.Module
    onnx: Path
    images: Tensor
    shape: Shape
    folder: Path
    seed: int
    targets: Tensor | None = None
    labelling: Labelling = ONE_LABEL
    unknown: int | None = None


class StepResult(NamedTuple):
    """What a step leaves.

    `network`: the compressed network. `report`: a JSON document a layer. `onnx`: the file to deploy,
    where the step makes it itself. `constrain`: called after every optimizer step of the fine-tuning. `finish`: called
    with the fine-tuned network, on the CPU in evaluation mode; what it gives is the outcome. It is called after no
    fine-tuning too. `files`: what is kept beside the deployed file, under the same names.
    """

    network: nn.Module
    report: list[dict[str, Any]]
    onnx: Path | None = None
    constrain: Callable[[], None] | None = None
    finish: Callable[[nn.Module], StepResult] | None = None
    files: tuple[Path, ...] = ()
