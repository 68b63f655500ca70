"""EuroSAT: land use as seen by the satellite Sentinel-2."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from kdcore.data.choices import classes_option, size_option
from kdcore.data.dataset import Fetch, RawImages, Remote, Work
from kdcore.data.large import Listing, members, pictures
from kdcore.data.splits import stratified_order
from kdcore.registry import Options, register

ARCHIVE = Remote(
    "EuroSAT.zip",
    ("https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",),
    94_280_567,
    "c8fa014336c82ac7804f0398fcb19387",
)
TEST_SHARE = 0.2


class Eurosat(Options):
    """How large, and how many of the classes."""

    size: int = size_option()
    classes: int | None = classes_option(10)


@register(
    "dataset",
    "eurosat",
    "Land use from a satellite, 64x64 colour pixels, 27,000 images, 10 classes",
    source="P. Helber et al. 2019, EuroSAT: a novel dataset for land use and land cover classification",
    options=Eurosat,
    traits={"fetch": Fetch("EuroSAT", ARCHIVE)},
)
def eurosat(options: Eurosat, work: Work) -> RawImages:
    """The authors split nothing, so a fixed stratified fifth is the test split."""
    archive = work.raw / ARCHIVE.name
    names = sorted(name for name, _ in members(archive) if name.endswith(".jpg"))  # 2750/Forest/Forest_1.jpg
    folders = [PurePosixPath(name).parts[-2] for name in names]
    classes = sorted(set(folders))
    labels = np.array([classes.index(folder) for folder in folders])
    order = stratified_order(labels, (0, 0))
    cut = round(TEST_SHARE * len(names))
    test, train = ([(names[i], int(labels[i])) for i in np.sort(part)] for part in (order[:cut], order[cut:]))
    return pictures(archive, Listing(train, test, classes), work, options.size, options.classes)
