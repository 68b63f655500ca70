"""Whether a training that was to win back accuracy lost it instead, with numbers that are finite all the same."""

from __future__ import annotations

from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.tools.images import by_input, sample
from kdcore.lazy import nn, torch

IMAGES = 256
CHANCE = 0.1  # what may be luck in a kappa of so few images


class Divergence:
    """Compares what a network knows of labelled training images before and after a training.

    `parent`: what the material's network knows as it is now. Nothing is compared where no image has a label.
    """

    def __init__(self, material: StepInput):
        targets, self.labelling = material.targets, material.labelling
        self.right: torch.Tensor | None = None
        rows = torch.arange(0)
        if targets is not None:
            known = self.labelling.labelled(targets).view(len(material.images), -1).all(1)
            rows = sample(known.nonzero().flatten(), IMAGES, material.seed)
            self.right = by_input(material.images, targets)[rows].flatten(0, 1) > 0.5
        self.images = material.images[rows]
        self.parent = self.knows(material.network)

    def knows(self, network: nn.Module) -> float:
        """Cohen's kappa of decisions and labels, class by class (Cohen 1960): 1 where all are right, 0 for chance."""
        if self.right is None or not len(self.images):
            return 0.0
        with torch.no_grad():
            logits = torch.cat([network.eval()(part) for part in self.images.split(64)])
        said = self.labelling.decided(logits.float().nan_to_num()) > 0.5
        shares, theirs = said.double().mean(0), self.right.double().mean(0)
        expected = float((shares * theirs + (1 - shares) * (1 - theirs)).mean())
        agreed = float((said == self.right).double().mean())
        return (agreed - expected) / (1 - expected) if expected < 1 else 0.0

    def check(self, network: nn.Module, before: float, remedy: str) -> None:
        """Raises CompressError where a training made worse what knew `before`, to less than half of its parent."""
        after = self.knows(network)
        if after < before and after < self.parent / 2 - CHANCE:
            raise CompressError(
                "quantization-aware training diverged: training accuracy (chance-corrected) was "
                f"{100 * before:.0f} % before and {100 * after:.0f} % after it: {remedy}"
            )
