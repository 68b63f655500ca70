"""MNIST and the two sets that were made to take its place: the same files, from other places."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kdcore.data.choices import classes_option, first_classes
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options, register

PARTS = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class TenClasses(Options):
    """All ten classes, or the first ones."""

    classes: int | None = classes_option(10)


def _files(mirrors: Sequence[str], sizes: Sequence[int], sums: Sequence[str]) -> tuple[Remote, ...]:
    return tuple(
        Remote(name, tuple(mirror + name for mirror in mirrors), size, md5)
        for name, size, md5 in zip(PARTS, sizes, sums, strict=True)
    )


def _reader(classes: tuple[str, ...]) -> Callable[[TenClasses, Work], RawImages]:
    def read(options: TenClasses, work: Work) -> RawImages:
        train_images, train_labels, test_images, test_labels = (idx(work.raw / part) for part in PARTS)
        raw = RawImages(train_images[..., None], train_labels, test_images[..., None], test_labels, classes)
        return first_classes(raw, options.classes)

    return read


def idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped IDX file: two zeros, the type, the number of sides, the sides, the bytes."""
    content = gzip.decompress(path.read_bytes())
    (sides,) = struct.unpack_from(">3xB", content)
    shape = struct.unpack_from(f">{sides}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * sides).reshape(shape)


def _add(
    name: str, description: str, source: str, title: str, files: tuple[Remote, ...], classes: Sequence[str]
) -> None:
    reader = _reader(tuple(classes))
    reader.__qualname__ = name
    traits = DatasetTraits(fetch=Fetch(title, *files))
    register("dataset", name, description, source=source, options=TenClasses, traits=traits)(reader)


_add(
    "mnist",
    "Handwritten digits, 28x28 grey pixels, 70,000 images, 10 classes",
    "Y. LeCun, C. Cortes, C. Burges 1998, The MNIST database",
    "MNIST",
    _files(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        (9_912_422, 28_881, 1_648_877, 4_542),
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "0123456789",
)
_add(
    "fashion_mnist",
    "Articles of clothing, 28x28 grey pixels, 70,000 images, 10 classes",
    "H. Xiao, K. Rasul, R. Vollgraf 2017, arXiv:1708.07747",
    "Fashion-MNIST",
    _files(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (26_421_880, 29_515, 4_422_102, 5_148),
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)
_add(
    "kmnist",
    "Cursive Japanese characters, 28x28 grey pixels, 70,000 images, 10 classes",
    "T. Clanuwat et al. 2018, arXiv:1812.01718",
    "Kuzushiji-MNIST",
    _files(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        (18_165_135, 29_497, 3_041_136, 5_120),
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
)
