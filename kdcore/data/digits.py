"""1,797 real handwritten digits, 8x8 grey pixels, that come with scikit-learn."""

from __future__ import annotations

import numpy as np

from kdcore.data.dataset import RawImages
from kdcore.data.splits import stratified_order
from kdcore.registry import Options, register

TEST_IMAGES = 600


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
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images[..., None] * (255 / 16)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    order = stratified_order(labels, (0, 0))
    test, train = np.sort(order[:TEST_IMAGES]), np.sort(order[TEST_IMAGES:])
    return RawImages(images[train], labels[train], images[test], labels[test], tuple(str(digit) for digit in range(10)))
