"""Every classification model of torchvision as a choice."""

from __future__ import annotations

import difflib
from typing import Any, Literal, NamedTuple, get_args

from pydantic import Field, field_validator, model_validator

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, register

# torchvision.models.list_models(module=torchvision.models), written down because asking for it takes seconds.
Name = Literal[
    "alexnet",
    "convnext_base", "convnext_large", "convnext_small", "convnext_tiny",
    "densenet121", "densenet161", "densenet169", "densenet201",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5",
    "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s",
    "googlenet", "inception_v3", "maxvit_t",
    "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3",
    "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small",
    "regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf", "regnet_x_800mf",
    "regnet_x_8gf", "regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf",
    "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf",
    "resnet101", "resnet152", "resnet18", "resnet34", "resnet50",
    "resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d",
    "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
    "squeezenet1_0", "squeezenet1_1",
    "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s", "swin_v2_t",
    "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
    "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32",
    "wide_resnet101_2", "wide_resnet50_2",
]  # fmt: skip
NAMES: tuple[str, ...] = get_args(Name)

SMALL_BELOW = 64  # pixels a side: smaller images get the stem for small images


class Family(NamedTuple):
    """Models that are built alike. `smallest`: pixels a side that an image needs, with the published stem.

    `small_stem`: whether there is a stem for small images, with which 8 pixels a side are enough.
    `step`: pixels that the sides must be a multiple of.
    """

    name: str
    prefixes: tuple[str, ...]
    smallest: int
    small_stem: bool = False
    step: int = 1


FAMILIES = (
    Family("alexnet", ("alexnet",), 63),
    Family("convnext", ("convnext",), 32),
    Family("densenet", ("densenet",), 29, small_stem=True),
    Family("efficientnet", ("efficientnet",), 8, small_stem=True),
    Family("googlenet", ("googlenet",), 15, small_stem=True),
    Family("inception", ("inception",), 75),
    Family("maxvit", ("maxvit",), 64, step=32),
    Family("mnasnet", ("mnasnet",), 8, small_stem=True),
    Family("mobilenet_v2", ("mobilenet_v2",), 8, small_stem=True),
    Family("mobilenet_v3", ("mobilenet_v3",), 8, small_stem=True),
    Family("regnet", ("regnet",), 8, small_stem=True),
    Family("resnet", ("resnet", "resnext", "wide_resnet"), 8, small_stem=True),
    Family("shufflenet_v2", ("shufflenet_v2",), 8, small_stem=True),
    Family("squeezenet", ("squeezenet1_0",), 21, small_stem=True),
    Family("squeezenet", ("squeezenet1_1",), 17, small_stem=True),
    Family("swin", ("swin",), 8),
    Family("vgg", ("vgg",), 32),
    Family("vit", ("vit",), 0),
)


def family(name: str) -> Family:
    """The family of a model. A vision transformer needs images of whole patches, as its name says."""
    found = next(family for family in FAMILIES if name.startswith(family.prefixes))
    if found.name != "vit":
        return found
    patch = int(name.rsplit("_", 1)[1])
    return found._replace(smallest=patch, step=patch)


class Torchvision(Options):
    """Options of torchvision's models."""

    name: Name = Field("resnet18", description="The model's name in torchvision, such as resnet18 or mobilenet_v2.")
    small_stem: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Keep the resolution of small images in the first layers: stride 1 and no first pooling "
        "(ResNets: 3x3 instead of 7x7). Auto: for images below 64 pixels a side. For ResNets, DenseNets,"
        " EfficientNets, MobileNets, MNASNets, RegNets, ShuffleNets, SqueezeNets and GoogLeNet.",
    )
    pretrained: bool = Field(
        False,
        description="Start from torchvision's ImageNet weights with a new head. They are downloaded at the first "
        "training.",
    )

    @field_validator("name", mode="before")
    @classmethod
    def _known(cls, name: Any) -> Any:
        if name in NAMES:
            return name
        near = difflib.get_close_matches(str(name), NAMES, 3, 0.5) or ["resnet18", "mobilenet_v2", "vit_b_16"]
        raise ValueError(f"torchvision has no classification model {str(name)!r}; try: {', '.join(near)}")

    @model_validator(mode="after")
    def _has_small_stem(self) -> Torchvision:
        if self.small_stem == "yes" and not family(self.name).small_stem:
            able = ", ".join(dict.fromkeys(family.name for family in FAMILIES if family.small_stem))
            raise ValueError(f"small_stem: {self.name} has no stem for small images; these have one: {able}")
        return self


def _names(options: Torchvision, classes: int, shape: tuple[int, int, int]) -> dict[str, str]:
    from kdcore.models.nets import torchvision as nets

    return nets.names(options.name, family(options.name).name, classes, shape)


@register(
    "architecture",
    "torchvision",
    "Any classification model of torchvision, also with its published weights",
    source="torchvision.models; each model's paper is named in torchvision's documentation",
    options=Torchvision,
    traits=ArchitectureTraits(large=True, names=_names),
)
def torchvision(options: Torchvision, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    """Raises ValueError, which names the size needed, for images that the model cannot take."""
    known = family(options.name)
    small = known.small_stem and (
        options.small_stem == "yes" or (options.small_stem == "auto" and min(shape[1:]) < SMALL_BELOW)
    )
    _check(options, known, shape, small)
    from kdcore.models.nets import torchvision as nets

    return nets.torchvision(options.name, known.name, classes, shape, normalize, small, options.pretrained)


def _check(options: Torchvision, known: Family, shape: tuple[int, int, int], small: bool) -> None:
    channels, height, width = shape
    size, smallest = f"{height}x{width}", 8 if small else known.smallest
    if min(height, width) < smallest:
        rest = "" if not known.small_stem or small else ", or small_stem on"
        raise ValueError(f"{options.name} needs images of at least {smallest}x{smallest} pixels, not {size}{rest}")
    if height % known.step or width % known.step:
        raise ValueError(f"{options.name} needs images whose sides are multiples of {known.step}, not {size}")
    if options.pretrained and channels not in (1, 3):
        raise ValueError(f"the published weights of {options.name} take images of 1 or 3 channels, not {channels}")
