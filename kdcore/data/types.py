"""What a data set is made of: the images as registered functions return them, and as they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kdcore import inputs
from kdcore.inputs.pictures import KIND as PICTURES
from kdcore.registry import Options

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
ITEMS, LABELS = ARRAYS[::2], ARRAYS[1::2]


class RawImages(NamedTuple):
    """What a registered data set returns: images uint8 (N, H, W, C), labels (N,) that index `classes`; where an
    image can have several, or none, 0 and 1 (N, K).

    Arrays made by `Work.array` are on disk already and are taken as they are. `name` is what the data set is called
    where that is not the registry's name. `left_out`: files of a person's that are no pictures.
    `notes`: what else a person should know of how the files were read, in sentences. `kind`: of the inputs, by its name
    in `kdcore.inputs`; the images are then items of that kind, such as Texts.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    name: str = ""
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = "pictures"


@dataclass(frozen=True)
class Dataset:
    """A prepared data set.

    `train_images`, `test_images`: uint8 (N, H, W, C), memory-mapped; writable (in memory alone) up to 1 GiB, read-only
    above. `train_labels`, `test_labels`: int64 (N,), or uint8 (N, K) where `multilabel`. `fingerprint`: sha256 of
    images, labels and class names, 64 hex digits. `mean`, `std`: of the training pixels in 0..1, one a channel; `std`
    is at least 1/255, so that it can be divided by.
    """

    name: str
    train_images: np.ndarray
    test_images: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    kind: inputs.Kind = PICTURES

    @property
    def shape(self) -> inputs.Shape:
        """(C, H, W) of one image; of another kind of input, its name and numbers."""
        return self.kind.shape(self.train_images)

    @property
    def multilabel(self) -> bool:
        """Whether an image can have several labels, or none."""
        return self.train_labels.ndim == 2


class Remote(NamedTuple):
    """A file that a data set needs. `bytes` is shown before the download; `md5` decides whether it is the right one."""

    name: str
    urls: tuple[str, ...]
    bytes: int
    md5: str


class Progress(NamedTuple):
    """How far a fetch has come: `done` of `total` in `unit` ("bytes" or "pictures")."""

    doing: str
    done: int
    total: int
    unit: str


class Work(NamedTuple):
    """What a data set that is fetched gets to prepare itself with.

    `raw`: the folder of its downloaded files, verified. `folder`: where the arrays grow. `tell`: takes each Progress.
    """

    raw: Path
    folder: Path
    tell: Callable[[Progress], None]

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A uint8 array on disk, one of ARRAYS, that is filled in any order and never has to fit into memory."""
        path = self.folder / f"{name}.npy"
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


class Fetch:
    """Marks a data set that must be fetched first: `traits=DatasetTraits(fetch=Fetch("CIFAR-10", *files))`.

    Its registered function then takes (options, work) and is called by `fetch.fetch` alone.
    """

    def __init__(self, title: str, *files: Remote):
        self._title, self._files = title, files

    def title(self, options: Options) -> str:
        """What messages call it."""
        return self._title

    def files(self, options: Options) -> tuple[Remote, ...]:
        """What these options need from the network."""
        return self._files

    def stamp(self, options: Options) -> str:
        """Something that changes when a person's own files do; prepared arrays hold for one stamp. Raises RecipeError.

        Called by every `load`: it must take some milliseconds at most.
        """
        return ""
