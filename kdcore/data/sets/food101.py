"""Food-101: dishes."""

from __future__ import annotations

import json

from kdcore.data.choices import classes_option, size_option
from kdcore.data.dataset import Fetch, RawImages, Remote, Work
from kdcore.data.large import Listing, pictures, texts
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "food-101.tar.gz",
    ("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",),
    4_996_278_331,
    "85eeb15f3717b99a5da872d97d918f87",
)


class Food101(Options):
    """How large, and how many of the classes."""

    size: int = size_option()
    classes: int | None = classes_option(101)


@register(
    "dataset",
    "food101",
    "Dishes, colour pictures of up to 512 pixels, 75,750 training and 25,250 test images, 101 classes",
    source="L. Bossard, M. Guillaumin, L. Van Gool 2014, Food-101: mining discriminative components",
    options=Food101,
    traits={"fetch": Fetch("Food-101", ARCHIVE)},
)
def food101(options: Food101, work: Work) -> RawImages:
    """The authors' lists. Some of the training labels are wrong, on purpose."""
    archive = work.raw / ARCHIVE.name
    train, test = map(json.loads, texts(archive, ["food-101/meta/train.json", "food-101/meta/test.json"]))
    classes = sorted(train)

    def rows(split: dict[str, list[str]]) -> list[tuple[str, int]]:
        return [(f"food-101/images/{name}.jpg", label) for label, dish in enumerate(classes) for name in split[dish]]

    listing = Listing(rows(train), rows(test), [dish.replace("_", " ") for dish in classes])
    return pictures(archive, listing, work, options.size, options.classes)
