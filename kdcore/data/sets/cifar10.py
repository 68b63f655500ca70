"""CIFAR-10, from its authors' archive of Python pickles, which are read without running anything."""

from __future__ import annotations

import codecs
import io
import pickle
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct  # what a pickled array is rebuilt with

from kdcore.data.choices import classes_option, first_classes
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "cifar-10-python.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    170_498_071,
    "c58f30108f718f92721af3b95e74349a",
)
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))


class Cifar10(Options):
    """All ten classes, or the first ones."""

    classes: int | None = classes_option(10)


@register(
    "dataset",
    "cifar10",
    "Animals and vehicles, 32x32 colour pixels, 60,000 images, 10 classes",
    source="A. Krizhevsky 2009, Learning multiple layers of features from tiny images",
    options=Cifar10,
    traits=DatasetTraits(fetch=Fetch("CIFAR-10", ARCHIVE)),
)
def cifar10(options: Cifar10, work: Work) -> RawImages:
    """The authors' training batches in their order, and their test batch."""
    found = batches(work.raw / ARCHIVE.name, [*TRAIN, "test_batch", "batches.meta"])
    train = [found[name] for name in TRAIN]
    raw = RawImages(
        train_images=np.concatenate([pixels(batch) for batch in train]),
        train_labels=np.concatenate([batch["labels"] for batch in train]),
        test_images=pixels(found["test_batch"]),
        test_labels=np.array(found["test_batch"]["labels"]),
        classes=tuple(found["batches.meta"]["label_names"]),
    )
    return first_classes(raw, options.classes)


def batches(archive: Path, names: Iterable[str]) -> dict[str, Any]:
    """The unpickled files of these names, wherever they lie in the archive. Raises ValueError."""
    wanted, found = set(names), {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            file = tar.extractfile(member) if name in wanted else None
            if file:
                found[name] = _Unpickler(io.BytesIO(file.read()), encoding="latin1").load()
    if absent := wanted - set(found):
        raise ValueError(f"{archive.name} does not contain {', '.join(sorted(absent))}")
    return found


def pixels(batch: dict[str, Any]) -> np.ndarray:
    """uint8 (N, 32, 32, 3) from rows of 1,024 red, 1,024 green and 1,024 blue pixels."""
    return batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


class _Unpickler(pickle.Unpickler):
    """Makes lists, numbers, texts and arrays; refuses every other class, so that nothing can be run."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _reconstruct
        allowed = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): codecs.encode}
        if (module, name) not in allowed:
            raise ValueError(f"the archive requests {module}.{name}, which no CIFAR batch needs")
        return allowed[module, name]
