"""Describable Textures."""

from __future__ import annotations

from kdcore.data.choices import classes_option, size_option
from kdcore.data.dataset import Fetch, RawImages, Remote, Work
from kdcore.data.large import Listing, pictures, texts
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "dtd-r1.0.1.tar.gz",
    ("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",),
    625_239_812,
    "fff73e5086ae6bdbea199a49dfb8a4c1",
)


class Dtd(Options):
    """How large, and how many of the classes."""

    size: int = size_option()
    classes: int | None = classes_option(47)


@register(
    "dataset",
    "dtd",
    "Textures, colour pictures of 300 to 640 pixels, 3,760 training and 1,880 test images, 47 classes",
    source="M. Cimpoi et al. 2014, Describing textures in the wild",
    options=Dtd,
    traits={"fetch": Fetch("Describable Textures", ARCHIVE)},
)
def dtd(options: Dtd, work: Work) -> RawImages:
    """The first of the authors' ten partitions; its training and validation images together."""
    archive = work.raw / ARCHIVE.name
    lists = texts(archive, [f"dtd/labels/{split}1.txt" for split in ("train", "val", "test")])
    train, validation, test = (text.split() for text in lists)
    classes = sorted({name.partition("/")[0] for name in train})

    def rows(names: list[str]) -> list[tuple[str, int]]:
        return [(f"dtd/images/{name}", classes.index(name.partition("/")[0])) for name in names]

    listing = Listing(rows(train + validation), rows(test), classes)
    return pictures(archive, listing, work, options.size, options.classes)
