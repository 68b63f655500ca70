"""Networks as other people train and save them, on scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from kdcore.data.normalisations import Normalisation
from kdcore.data.types import Dataset

TRAIN = 1300


def digits(names: tuple[str, ...] = tuple("0123456789"), channels: int = 1) -> Dataset:
    """The digits with classes of these names, in the order of `names`."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(images))
    pixels = (images[order].reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8).repeat(channels, axis=3)
    labels = np.array([names.index(sorted(names, key=int)[label]) for label in labels[order]])
    train = pixels[:TRAIN] / 255
    return Dataset(
        "digits", pixels[:TRAIN], pixels[TRAIN:], labels[:TRAIN], labels[TRAIN:], names,
        f"{'-'.join(names)} {channels}", (float(train.mean()),) * channels, (float(train.std()),) * channels,
    )  # fmt: skip


class Owner(nn.Module):
    """A network as its owner wrote it, for pixels that the owner has normalised."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        network.set_submodule("normalize", nn.Identity())

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.network(pixels)


def trained(network: nn.Module, dataset: Dataset, labels: np.ndarray, normalisation: Normalisation) -> Owner:
    """The network after some training on the training images with these labels."""
    torch.manual_seed(0)
    owner = Owner(network).train()
    pixels, targets = torch.from_numpy(normalisation.of(dataset.train_images)), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(owner.parameters(), 0.01)
    for _ in range(6):
        for batch in torch.randperm(TRAIN).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(owner(pixels[batch]), targets[batch]).backward()
            optimizer.step()
    return owner.eval()


@torch.no_grad()
def accuracy(network: Any, pixels: np.ndarray, labels: np.ndarray) -> float:
    """The share of images whose largest answer is their label's."""
    return float((network(torch.from_numpy(pixels)).argmax(1).numpy() == labels).mean())


def export(owner: nn.Module, path: Path, shape: tuple[int, ...], **options: Any) -> Path:
    """An ONNX file as people export theirs."""
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    torch.onnx.export(
        owner, (torch.zeros(1, *shape),), str(path), input_names=["x"], output_names=["y"], dynamo=False,
        **{"dynamic_axes": axes, **options},
    )  # fmt: skip
    return path
