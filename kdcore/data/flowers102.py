"""Oxford 102 Flowers."""

from __future__ import annotations

from kdcore.data.choices import classes_option, size_option
from kdcore.data.dataset import Fetch, RawImages, Remote, Work
from kdcore.data.large import Listing, pictures
from kdcore.registry import Options, register

PLACE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
IMAGES = Remote("102flowers.tgz", (f"{PLACE}102flowers.tgz",), 344_862_509, "52808999861908f626f3c1f4e79d11fa")
LABELS = Remote("imagelabels.mat", (f"{PLACE}imagelabels.mat",), 502, "e0620be6f572b9609742df49c70aed4d")
SPLITS = Remote("setid.mat", (f"{PLACE}setid.mat",), 14_989, "a5357ecc9cb78c4bef273ce3793fc85c")


class Flowers102(Options):
    """How large, and how many of the classes."""

    size: int = size_option()
    classes: int | None = classes_option(102)


@register(
    "dataset",
    "flowers102",
    "Flowers, colour pictures of any size, 2,040 training and 6,149 test images, 102 classes",
    source="M.-E. Nilsback and A. Zisserman 2008, Automated flower classification over a large number of classes",
    options=Flowers102,
    traits={"fetch": Fetch("Oxford 102 Flowers", IMAGES, LABELS, SPLITS)},
)
def flowers102(options: Flowers102, work: Work) -> RawImages:
    """The authors' training and validation images together, and their test images."""
    from scipy.io import loadmat
    from torchvision.datasets import Flowers102 as Published  # its list of names: the files have numbers alone

    splits = loadmat(work.raw / SPLITS.name)
    labels = loadmat(work.raw / LABELS.name)["labels"].ravel().astype(int) - 1

    def rows(*parts: str) -> list[tuple[str, int]]:
        numbers = [int(number) for part in parts for number in splits[part].ravel()]
        return [(f"jpg/image_{number:05d}.jpg", int(labels[number - 1])) for number in numbers]

    listing = Listing(rows("trnid", "valid"), rows("tstid"), Published.classes)
    return pictures(work.raw / IMAGES.name, listing, work, options.size, options.classes)
