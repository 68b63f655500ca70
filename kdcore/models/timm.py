"""Every classification model of timm as a choice, where timm is installed."""

from __future__ import annotations

from pydantic import Field

from kdcore.lazy import nn
from kdcore.models.traits import ArchitectureTraits
from kdcore.registry import Options, register


class Timm(Options):
    """Options of timm's models."""

    name: str = Field(
        "resnet18",
        min_length=1,
        max_length=120,
        pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$",
        description="The model's name in timm, such as mobilenetv3_small_100 or resnet18.a1_in1k.",
    )
    pretrained: bool = Field(
        False,
        description="Start from timm's published weights with a new head. They are downloaded from Hugging Face at the "
        "first training.",
    )


def _names(options: Timm, classes: int, shape: tuple[int, int, int]) -> dict[str, str]:
    from kdcore.models.nets import timm as nets

    return nets.names(options.name, classes, shape)


@register(
    "architecture",
    "timm",
    "Any classification model of timm, also with its published weights; needs pip install 'kdcore[timm]'",
    source="Wightman 2019, github.com/huggingface/pytorch-image-models; each model's paper is named there",
    options=Timm,
    traits=ArchitectureTraits(maps=False, large=True, names=_names),
)
def timm(options: Timm, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    """Raises ValueError where timm is missing, or has no such model for these images."""
    from kdcore.models.nets import timm as nets

    return nets.timm(options.name, classes, shape, normalize, options.pretrained)
