"""What the labels of a data set mean: one class for each image, or any number of them."""

from __future__ import annotations

from kdcore.lazy import functional, torch


class Labelling:
    """One class for each image: the classes share one softmax.

    `targets` (B, K) are distributions over the classes; a row of zeros has no label.
    """

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss of logits (B, K) on the labelled images, a scalar in nats; 0 where none is labelled."""
        return cross_entropy(logits, targets)

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Share of the labelled images that are answered right, a scalar in 0..1; 0 where none is labelled."""
        labelled = self.labelled(targets)
        right = (logits.argmax(1) == targets.argmax(1)) & labelled
        return right.float().sum() / labelled.sum().clamp(min=1)

    def labelled(self, targets: torch.Tensor) -> torch.Tensor:
        """Which of the images have a label, bool (B,)."""
        return targets.sum(dim=1) > 0

    def smoothed(self, targets: torch.Tensor, share: float) -> torch.Tensor:
        """Label smoothing: `share` of each label is spread over all K classes. Rows without a label stay so."""
        return torch.lerp(targets, targets.sum(1, keepdim=True) / targets.shape[1], share) if share else targets

    def decided(self, logits: torch.Tensor) -> torch.Tensor:
        """What a network with these logits (B, K) would say, as targets (B, K)."""
        return functional.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)


class ManyLabels(Labelling):
    """Any number of classes for each image, none included: K decisions of their own, each by a sigmoid.

    `targets` (B, K) are probabilities; a row of NaN has no label, and views that mix it with another leave it so.
    """

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return binary_cross_entropy(logits, targets)

    def right(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Share of the labelled images all of whose K decisions are right."""
        labelled = self.labelled(targets)
        right = ((logits > 0) == (targets > 0.5)).all(dim=1) & labelled
        return right.float().sum() / labelled.sum().clamp(min=1)

    def labelled(self, targets: torch.Tensor) -> torch.Tensor:
        return ~targets[:, 0].isnan()

    def smoothed(self, targets: torch.Tensor, share: float) -> torch.Tensor:
        """Label smoothing of each decision: `share` of it goes to one half."""
        return targets * (1 - share) + share / 2 if share else targets

    def decided(self, logits: torch.Tensor) -> torch.Tensor:
        return (logits > 0).to(logits.dtype)


ONE_LABEL, MANY_LABELS = Labelling(), ManyLabels()


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the labelled part of the batch; 0 when nothing in it is labelled.

    `logits`, `targets`: (B, K). A row of zeros has no label and does not count.
    """
    likelihood = (targets * functional.log_softmax(logits, dim=1)).sum()
    return -likelihood / targets.sum().clamp(min=1e-6)


def binary_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of the label sets, in nats: summed over the K decisions, mean over the labelled images.

    `logits`, `targets`: (B, K), targets in 0..1. A row of NaN has no label and does not
    count; 0 when there are no others.
    """
    known = ~targets.isnan()
    losses = functional.binary_cross_entropy_with_logits(logits, targets.nan_to_num(), reduction="none")
    return (losses * known).sum() / known[:, 0].sum().clamp(min=1)
