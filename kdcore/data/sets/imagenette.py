"""Imagenette: ten easy classes of ImageNet."""

from __future__ import annotations

from pathlib import PurePosixPath

from kdcore.data.choices import classes_option, size_option
from kdcore.data.dataset import Fetch, RawImages, Remote, Work
from kdcore.data.large import Listing, members, pictures
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "imagenette2-320.tgz",
    ("https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",),
    341_663_724,
    "3df6f0d01a2c9592104656642f5e78a3",
)
CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


class Imagenette(Options):
    """How large, and how many of the classes."""

    size: int = size_option()
    classes: int | None = classes_option(10)


@register(
    "dataset",
    "imagenette",
    "Ten easy classes of ImageNet, colour pictures of 320 pixels, 9,469 training and 3,925 test images",
    source="J. Howard 2019, github.com/fastai/imagenette",
    options=Imagenette,
    traits={"fetch": Fetch("Imagenette", ARCHIVE)},
)
def imagenette(options: Imagenette, work: Work) -> RawImages:
    """Its training images, and what it calls its validation images as the test split."""
    archive = work.raw / ARCHIVE.name
    rows: dict[str, list[tuple[str, int]]] = {"train": [], "val": []}
    for name, _ in members(archive):
        path = PurePosixPath(name)  # imagenette2-320/train/n01440764/n01440764_10026.JPEG
        if path.suffix == ".JPEG" and path.parts[-3] in rows:
            rows[path.parts[-3]].append((name, list(CLASSES).index(path.parts[-2])))
    listing = Listing(sorted(rows["train"]), sorted(rows["val"]), tuple(CLASSES.values()))
    return pictures(archive, listing, work, options.size, options.classes)
