"""Gradients of the loss on a few labelled images, for the scores of pruning that need them."""

from __future__ import annotations

from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.tools.images import by_input, sample
from kdcore.data.labelling import ONE_LABEL
from kdcore.lazy import nn, torch

BATCH = 64


def mean(network: nn.Module, material: StepInput, count: int) -> None:
    """Leaves in each parameter's `grad` the gradient of the mean loss on at most `count` labelled images.

    Raises CompressError where no image has a label.
    """
    images, targets = labelled(material, count)
    network.requires_grad_(True).zero_grad()
    for part, wanted in zip(images.split(BATCH), targets.split(BATCH), strict=True):
        (material.labelling.loss(network(part), wanted.flatten(0, 1)) * (len(part) / len(images))).backward()


def squared(network: nn.Module, material: StepInput, count: int) -> None:
    """The same of the squares of each image's own gradient: the diagonal of the empirical Fisher information.

    torch-pruning's own sum of them keeps the last image alone (1.6.1), so it is taken here.
    """
    images, targets = labelled(material, count)
    parameters = list(network.requires_grad_(True).parameters())
    sums = [torch.zeros_like(parameter) for parameter in parameters]
    for place in range(len(images)):
        loss = material.labelling.loss(network(images[place : place + 1]), targets[place])
        for total, found in zip(sums, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
            if found is not None:
                total.add_(found.square(), alpha=1 / len(images))
    for parameter, total in zip(parameters, sums, strict=True):
        parameter.grad = total


def labelled(material: StepInput, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """At most `count` images (n, C, H, W) that have a label, picked at random, and their targets (n, P, K).

    Raises CompressError where there is none.
    """
    targets = material.targets
    if targets is not None:
        known = targets.sum(1) > 0 if material.labelling is ONE_LABEL else ~targets[:, 0].isnan()
        rows = known.view(len(material.images), -1).all(1).nonzero().flatten()
        if len(rows):
            rows = sample(rows, count, material.seed)
            return material.images[rows], by_input(material.images, targets)[rows]
    raise CompressError("gradients of the loss need labelled examples, but there are none")
