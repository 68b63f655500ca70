"""CIFAR-100, from lossless mosaics where `KDCORE_CIFAR100` names their folder, else from its authors' archive."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from kdcore.data.choices import by_class, classes_option, first_classes
from kdcore.data.sets.cifar10 import batches, pixels
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, Progress, RawImages, Remote, Work
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "cifar-100-python.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
    169_001_437,
    "eb9058c3a382ffc7106e4002c42a8d85",
)
PER_CLASS = {"train": 500, "test": 100}
ROWS, COLUMNS, SIDE = 25, 50, 32  # of a mosaic: 1,250 images, grouped by class


class Cifar100(Options):
    """All hundred classes, or the first ones in the order of the alphabet."""

    classes: int | None = classes_option(100)


def mosaics() -> Path | None:
    """The folder of the mosaics, if `KDCORE_CIFAR100` names it."""
    chosen = os.environ.get("KDCORE_CIFAR100")
    folder = Path(chosen).expanduser() if chosen else None
    return folder if folder and (folder / "classes.txt").exists() else None


class _MosaicsOrArchive(Fetch):
    def files(self, options: Options) -> tuple[Remote, ...]:
        return () if mosaics() else super().files(options)


@register(
    "dataset",
    "cifar100",
    "Things and creatures, 32x32 colour pixels, 60,000 images, 100 classes",
    source="A. Krizhevsky 2009, Learning multiple layers of features from tiny images",
    options=Cifar100,
    traits=DatasetTraits(fetch=_MosaicsOrArchive("CIFAR-100", ARCHIVE)),
)
def cifar100(options: Cifar100, work: Work) -> RawImages:
    """The images grouped by class, as both sources then agree."""
    folder = mosaics()
    raw = _from_mosaics(folder, options, work) if folder else _from_archive(work)
    return first_classes(raw, options.classes)


def _from_archive(work: Work) -> RawImages:
    found = batches(work.raw / ARCHIVE.name, ["train", "test", "meta"])
    train, test = (by_class(pixels(found[name]), np.array(found[name]["fine_labels"])) for name in ("train", "test"))
    return RawImages(*train, *test, classes=tuple(found["meta"]["fine_label_names"]))


def _from_mosaics(folder: Path, options: Cifar100, work: Work) -> RawImages:
    classes = tuple((folder / "classes.txt").read_text("utf-8").split())
    kept = options.classes or len(classes)
    per_mosaic = ROWS * COLUMNS
    needed = {split: -(-kept * each // per_mosaic) for split, each in PER_CLASS.items()}
    tiles: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for split, count in needed.items():
        for number in range(count):
            tiles[split].append(_tiles(folder / f"{split}-{number:02d}.webp"))
            done = len(tiles["train"]) + len(tiles["test"])
            work.tell(Progress("preparing", done * per_mosaic, sum(needed.values()) * per_mosaic, "pictures"))
    train, test = np.concatenate(tiles["train"]), np.concatenate(tiles["test"])
    train_labels = np.arange(len(train)) // PER_CLASS["train"]
    test_labels = np.arange(len(test)) // PER_CLASS["test"]
    return RawImages(train, train_labels, test, test_labels, classes)


def _tiles(path: Path) -> np.ndarray:
    """uint8 (1250, 32, 32, 3): the images of a mosaic, row by row."""
    from PIL import Image

    with Image.open(path) as mosaic:
        whole = np.asarray(mosaic.convert("RGB"))
    return whole.reshape(ROWS, SIDE, COLUMNS, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
