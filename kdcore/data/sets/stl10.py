"""STL-10: few labelled pictures of 96 pixels, from ImageNet."""

from __future__ import annotations

import tarfile

import numpy as np

from kdcore.data.choices import classes_option, first_classes
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "stl10_binary.tar.gz",
    ("http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",),
    2_640_397_119,
    "91f7769df0f17e558f3565bffb0c7dfb",
)
PARTS = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class Stl10(Options):
    """All ten classes, or the first ones."""

    classes: int | None = classes_option(10)


@register(
    "dataset",
    "stl10",
    "Animals and vehicles, 96x96 colour pixels, 5,000 training and 8,000 test images, 10 classes",
    source="A. Coates, H. Lee, A. Ng 2011, An analysis of single-layer networks in unsupervised feature learning",
    options=Stl10,
    traits=DatasetTraits(fetch=Fetch("STL-10", ARCHIVE)),
)
def stl10(options: Stl10, work: Work) -> RawImages:
    """The labelled images; the 100,000 without a label are left out."""
    found: dict[str, np.ndarray] = {}
    with tarfile.open(work.raw / ARCHIVE.name) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            file = tar.extractfile(member) if name in PARTS else None
            if file:
                found[name] = np.frombuffer(file.read(), np.uint8)
            if len(found) == len(PARTS):
                break
    if absent := set(PARTS) - set(found):
        raise ValueError(f"{ARCHIVE.name} does not contain {', '.join(sorted(absent))}")
    train, test = ((_pixels(found[f"{split}_X.bin"]), found[f"{split}_y.bin"] - 1) for split in ("train", "test"))
    return first_classes(RawImages(*train, *test, classes=CLASSES), options.classes)


def _pixels(content: np.ndarray) -> np.ndarray:
    """uint8 (N, 96, 96, 3) from planes of colour in which columns come first."""
    return content.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
