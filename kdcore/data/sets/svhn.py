"""SVHN: house numbers cut out of street pictures."""

from __future__ import annotations

import numpy as np

from kdcore.data.choices import classes_option, first_classes
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options, register

PLACE = "http://ufldl.stanford.edu/housenumbers/"
TRAIN = Remote("train_32x32.mat", (f"{PLACE}train_32x32.mat",), 182_040_794, "e26dedcc434d2e4c54c9b2d4a06d8373")
TEST = Remote("test_32x32.mat", (f"{PLACE}test_32x32.mat",), 64_275_384, "eb5a983be6a315427106f1b164d9cef3")


class Svhn(Options):
    """All ten digits, or the first ones."""

    classes: int | None = classes_option(10)


@register(
    "dataset",
    "svhn",
    "House numbers in street pictures, 32x32 colour pixels, 99,289 images, 10 classes",
    source="Y. Netzer et al. 2011, Reading digits in natural images with unsupervised feature learning",
    options=Svhn,
    traits=DatasetTraits(fetch=Fetch("SVHN", TRAIN, TEST)),
)
def svhn(options: Svhn, work: Work) -> RawImages:
    """The cropped digits; the 531,131 easier "extra" ones are left out."""
    from scipy.io import loadmat

    train, test = (loadmat(work.raw / file.name) for file in (TRAIN, TEST))
    raw = RawImages(*_arrays(train), *_arrays(test), classes=tuple("0123456789"))
    return first_classes(raw, options.classes)


def _arrays(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels; the files call the zero 10."""
    return found["X"].transpose(3, 0, 1, 2), found["y"].ravel().astype(np.int64) % 10
