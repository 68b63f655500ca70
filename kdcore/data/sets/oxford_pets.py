"""Oxford-IIIT Pets: cats and dogs by breed."""

from __future__ import annotations

from kdcore.data.choices import classes_option, size_option
from kdcore.data.dataset import Fetch, RawImages, Remote, Work
from kdcore.data.large import Listing, pictures, texts
from kdcore.registry import Options, register

PLACE = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
IMAGES = Remote("images.tar.gz", (f"{PLACE}images.tar.gz",), 791_918_971, "5c4f3ee8e5d25df40f4fd59a7f44e54c")
LISTS = Remote("annotations.tar.gz", (f"{PLACE}annotations.tar.gz",), 19_173_078, "95a8c909bbe2e81eed6a22bccdf3f68f")


class OxfordPets(Options):
    """How large, and how many of the classes."""

    size: int = size_option()
    classes: int | None = classes_option(37)


@register(
    "dataset",
    "oxford_pets",
    "Breeds of cats and dogs, colour pictures of any size, 3,680 training and 3,669 test images, 37 classes",
    source="O. Parkhi et al. 2012, Cats and dogs",
    options=OxfordPets,
    traits={"fetch": Fetch("Oxford-IIIT Pets", IMAGES, LISTS)},
)
def oxford_pets(options: OxfordPets, work: Work) -> RawImages:
    """The authors' trainval and test lists."""
    names: dict[int, str] = {}

    def rows(text: str) -> list[tuple[str, int]]:
        made = []
        for line in text.splitlines():
            picture, label = line.split()[:2]  # then the species, and the breed's number within it
            names[int(label) - 1] = picture.rpartition("_")[0].replace("_", " ")
            made.append((f"images/{picture}.jpg", int(label) - 1))
        return made

    train, test = map(rows, texts(work.raw / LISTS.name, ["annotations/trainval.txt", "annotations/test.txt"]))
    listing = Listing(train, test, [names[label] for label in sorted(names)])
    return pictures(work.raw / IMAGES.name, listing, work, options.size, options.classes)
