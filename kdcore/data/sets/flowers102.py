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
# In the order of the labels; the files have numbers alone.
NAMES = """
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

    splits = loadmat(work.raw / SPLITS.name)
    labels = loadmat(work.raw / LABELS.name)["labels"].ravel().astype(int) - 1

    def rows(*parts: str) -> list[tuple[str, int]]:
        numbers = [int(number) for part in parts for number in splits[part].ravel()]
        return [(f"jpg/image_{number:05d}.jpg", int(labels[number - 1])) for number in numbers]

    classes = [name.strip() for name in NAMES.replace("\n", " ").split(",")]
    listing = Listing(rows("trnid", "valid"), rows("tstid"), classes)
    return pictures(work.raw / IMAGES.name, listing, work, options.size, options.classes)
