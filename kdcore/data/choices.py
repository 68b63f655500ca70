"""Options that several data sets share, and what they do."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from kdcore.data.types import RawImages


def classes_option(most: int) -> Any:
    """The field `classes: int | None` of a data set that has `most` classes."""
    return Field(None, ge=2, le=most, description=f"Keep only the first classes, 2 to {most}. Empty: all.")


def size_option() -> Any:
    """The field `size: int` of a data set of large images."""
    return Field(
        64,
        ge=32,
        le=256,
        description="Image size in pixels: the shorter side is resized to this, then the centre is cropped.",
    )


def first_classes(raw: RawImages, count: int | None) -> RawImages:
    """The images of the first `count` classes; all where it is None."""
    if count is None:
        return raw
    train, test = raw.train_labels < count, raw.test_labels < count
    return RawImages(
        train_images=raw.train_images[train],
        train_labels=raw.train_labels[train],
        test_images=raw.test_images[test],
        test_labels=raw.test_labels[test],
        classes=raw.classes[:count],
    )


def by_class(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both, grouped by class, in their old order within each."""
    order = np.argsort(labels, kind="stable")
    return images[order], labels[order]
