"""Published sets of pictures in archives: a row each, and the function that lists what its authors put where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from pydantic import create_model

from kdcore.data.choices import classes_option, size_option
from kdcore.data.large import Listing, members, pictures, texts
from kdcore.data.ordering import stratified_order
from kdcore.data.published import publish
from kdcore.data.types import Fetch, RawImages, Remote, Work
from kdcore.registry import Options

OBJECTS = {
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
# In the order of the labels; the files have numbers alone.
FLOWERS = """
pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily, moon
orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear thistle,
yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower, giant white arum lily, fire lily,
pincushion flower, fritillary, red ginger, grape hyacinth, corn poppy, prince of wales feathers, stemless
gentian, artichoke, sweet william, carnation, garden phlox, love in the mist, mexican aster, alpine sea holly,
ruby-lipped cattleya, cape flower, great masterwort, siam tulip, lenten rose, barbeton daisy, daffodil, sword
lily, poinsettia, bolero deep blue, wallflower, marigold, buttercup, oxeye daisy, common dandelion, petunia,
wild pansy, primula, sunflower, pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow
dahlia?, cautleya spicata, japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum,
spring crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple, morning
glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis, hibiscus, columbine, desert-rose,
tree mallow, magnolia, cyclamen, watercress, canna lily, hippeastrum, bee balm, ball moss, foxglove,
bougainvillea, camellia, mallow, mexican petunia, bromelia, blanket flower, trumpet creeper, blackberry lily
"""


class Published(NamedTuple):
    """A set of pictures. `classes`: how many it has. `files`: the archive of the pictures first, lists after it.

    `listing`: from the paths of `files` to the pictures of each split.
    """

    name: str
    description: str
    source: str
    title: str
    classes: int
    files: tuple[Remote, ...]
    listing: Callable[..., Listing]


def _textures(archive: Path) -> Listing:
    """The first of the authors' ten partitions; its training and validation images together."""
    lists = texts(archive, [f"dtd/labels/{split}1.txt" for split in ("train", "val", "test")])
    train, validation, test = (text.split() for text in lists)
    classes = sorted({name.partition("/")[0] for name in train})

    def rows(names: list[str]) -> list[tuple[str, int]]:
        return [(f"dtd/images/{name}", classes.index(name.partition("/")[0])) for name in names]

    return Listing(rows(train + validation), rows(test), classes)


def _land_use(archive: Path) -> Listing:
    """The authors split nothing, so a fixed stratified fifth is the test split."""
    names = sorted(name for name, _ in members(archive) if name.endswith(".jpg"))  # 2750/Forest/Forest_1.jpg
    folders = [PurePosixPath(name).parts[-2] for name in names]
    classes = sorted(set(folders))
    labels = np.array([classes.index(folder) for folder in folders])
    order = stratified_order(labels, (0, 0))
    cut = round(0.2 * len(names))
    test, train = ([(names[i], int(labels[i])) for i in np.sort(part)] for part in (order[:cut], order[cut:]))
    return Listing(train, test, classes)


def _flowers(archive: Path, labels: Path, splits: Path) -> Listing:
    """The authors' training and validation images together, and their test images."""
    from scipy.io import loadmat

    parts = loadmat(splits)
    classes = loadmat(labels)["labels"].ravel().astype(int) - 1

    def rows(*names: str) -> list[tuple[str, int]]:
        numbers = [int(number) for name in names for number in parts[name].ravel()]
        return [(f"jpg/image_{number:05d}.jpg", int(classes[number - 1])) for number in numbers]

    names = [name.strip() for name in FLOWERS.replace("\n", " ").split(",")]
    return Listing(rows("trnid", "valid"), rows("tstid"), names)


def _dishes(archive: Path) -> Listing:
    """The authors' lists. Some of the training labels are wrong, on purpose."""
    train, test = map(json.loads, texts(archive, ["food-101/meta/train.json", "food-101/meta/test.json"]))
    classes = sorted(train)

    def rows(split: dict[str, list[str]]) -> list[tuple[str, int]]:
        return [(f"food-101/images/{name}.jpg", label) for label, dish in enumerate(classes) for name in split[dish]]

    return Listing(rows(train), rows(test), [dish.replace("_", " ") for dish in classes])


def _objects(archive: Path) -> Listing:
    """The training images, and as the test split what its author calls the validation images."""
    rows: dict[str, list[tuple[str, int]]] = {"train": [], "val": []}
    for name, _ in members(archive):
        path = PurePosixPath(name)  # imagenette2-320/train/n01440764/n01440764_10026.JPEG
        if path.suffix == ".JPEG" and path.parts[-3] in rows:
            rows[path.parts[-3]].append((name, list(OBJECTS).index(path.parts[-2])))
    return Listing(sorted(rows["train"]), sorted(rows["val"]), tuple(OBJECTS.values()))


def _pets(archive: Path, lists: Path) -> Listing:
    """The authors' trainval and test lists."""
    names: dict[int, str] = {}

    def rows(text: str) -> list[tuple[str, int]]:
        made = []
        for line in text.splitlines():
            picture, label = line.split()[:2]  # then the species, and the breed's number within it
            names[int(label) - 1] = picture.rpartition("_")[0].replace("_", " ")
            made.append((f"images/{picture}.jpg", int(label) - 1))
        return made

    train, test = map(rows, texts(lists, ["annotations/trainval.txt", "annotations/test.txt"]))
    return Listing(train, test, [names[label] for label in sorted(names)])


def _at(place: str, name: str, size: int, md5: str) -> Remote:
    return Remote(name, (f"{place}{name}",), size, md5)


OXFORD = "https://www.robots.ox.ac.uk/~vgg/data/"
TABLE = (
    Published(
        "dtd",
        "Textures, colour pictures of 300 to 640 pixels, 3,760 training and 1,880 test images, 47 classes",
        "M. Cimpoi et al. 2014, Describing textures in the wild",
        "Describable Textures",
        47,
        (_at(f"{OXFORD}dtd/download/", "dtd-r1.0.1.tar.gz", 625_239_812, "fff73e5086ae6bdbea199a49dfb8a4c1"),),
        _textures,
    ),
    Published(
        "eurosat",
        "Land use from a satellite, 64x64 colour pixels, 27,000 images, 10 classes",
        "P. Helber et al. 2019, EuroSAT: a novel dataset for land use and land cover classification",
        "EuroSAT",
        10,
        (
            _at(
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/",
                "EuroSAT.zip",
                94_280_567,
                "c8fa014336c82ac7804f0398fcb19387",
            ),
        ),
        _land_use,
    ),
    Published(
        "flowers102",
        "Flowers, colour pictures of any size, 2,040 training and 6,149 test images, 102 classes",
        "M.-E. Nilsback and A. Zisserman 2008, Automated flower classification over a large number of classes",
        "Oxford 102 Flowers",
        102,
        (
            _at(f"{OXFORD}flowers/102/", "102flowers.tgz", 344_862_509, "52808999861908f626f3c1f4e79d11fa"),
            _at(f"{OXFORD}flowers/102/", "imagelabels.mat", 502, "e0620be6f572b9609742df49c70aed4d"),
            _at(f"{OXFORD}flowers/102/", "setid.mat", 14_989, "a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        _flowers,
    ),
    Published(
        "food101",
        "Dishes, colour pictures of up to 512 pixels, 75,750 training and 25,250 test images, 101 classes",
        "L. Bossard, M. Guillaumin, L. Van Gool 2014, Food-101: mining discriminative components",
        "Food-101",
        101,
        (
            _at(
                "http://data.vision.ee.ethz.ch/cvl/",
                "food-101.tar.gz",
                4_996_278_331,
                "85eeb15f3717b99a5da872d97d918f87",
            ),
        ),
        _dishes,
    ),
    Published(
        "imagenette",
        "Ten easy classes of ImageNet, colour pictures of 320 pixels, 9,469 training and 3,925 test images",
        "J. Howard 2019, github.com/fastai/imagenette",
        "Imagenette",
        10,
        (
            _at(
                "https://s3.amazonaws.com/fast-ai-imageclas/",
                "imagenette2-320.tgz",
                341_663_724,
                "3df6f0d01a2c9592104656642f5e78a3",
            ),
        ),
        _objects,
    ),
    Published(
        "oxford_pets",
        "Breeds of cats and dogs, colour pictures of any size, 3,680 training and 3,669 test images, 37 classes",
        "O. Parkhi et al. 2012, Cats and dogs",
        "Oxford-IIIT Pets",
        37,
        (
            _at(f"{OXFORD}pets/data/", "images.tar.gz", 791_918_971, "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
            _at(f"{OXFORD}pets/data/", "annotations.tar.gz", 19_173_078, "95a8c909bbe2e81eed6a22bccdf3f68f"),
        ),
        _pets,
    ),
)


def _options(known: Published) -> type[Options]:
    fields: dict[str, Any] = {"size": (int, size_option()), "classes": (int | None, classes_option(known.classes))}
    doc = "Image size, and number of classes."
    return create_model(known.name.title().replace("_", ""), __base__=Options, __doc__=doc, **fields)


def _add(known: Published) -> None:
    def read(options: Any, work: Work) -> RawImages:
        files = [work.raw / file.name for file in known.files]
        return pictures(files[0], known.listing(*files), work, options.size, options.classes)

    publish(known, _options(known), Fetch(known.title, *known.files), read)


for known in TABLE:
    _add(known)
