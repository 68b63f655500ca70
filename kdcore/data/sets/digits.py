"""1,797 real handwritten digits, 8x8 grey pixels, that come with scikit-learn."""

from __future__ import annotations

from importlib.metadata import distribution

import numpy as np

from kdcore.data.ordering import stratified_order
from kdcore.data.types import RawImages
from kdcore.registry import Options, register

TEST_IMAGES = 600
FILE = "sklearn/datasets/data/digits.csv.gz"  # of scikit-learn: 64 pixels of 0 to 16 and the class, an image a line


class Digits(Options):
    """Digits has no options."""


@register(
    "dataset",
    "digits",
    "Handwritten digits, 8x8 pixels, 1,797 images, 10 classes",
    source="E. Alpaydin and C. Kaynak 1998, UCI Optical Recognition of Handwritten Digits; as in scikit-learn",
    options=Digits,
)
def digits(options: Options) -> RawImages:
    """The images with a fixed stratified test split of 600, which no version of scikit-learn can move."""
    table = _table()
    images = np.rint(table[:, :-1].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    labels = table[:, -1].astype(np.int64)
    order = stratified_order(labels, (0, 0))
    test, train = np.sort(order[:TEST_IMAGES]), np.sort(order[TEST_IMAGES:])
    return RawImages(images[train], labels[train], images[test], labels[test], tuple(str(digit) for digit in range(10)))


def _table() -> np.ndarray:
    """The file as numbers, (1797, 65), without importing scikit-learn, which takes seconds."""
    return np.loadtxt(str(distribution("scikit-learn").locate_file(FILE)), delimiter=",")
