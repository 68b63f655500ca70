"""torchvision's models, taken apart and put together under this zoo's names: normalize, stem, stage1, …, head."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import nn
from torchvision import models
from torchvision.models.regnet import BlockParams

from kdcore.models import published
from kdcore.models.nets.normalize import Normalize
from kdcore.models.nets.torchvision_parts import PARTS, ClassToken

# The first pooling, which the stem for small images does without; its first convolution is 3x3 with stride 1.
FIRST_POOL = {
    "densenet": "features.pool0",
    "googlenet": "maxpool1",
    "resnet": "maxpool",
    "shufflenet_v2": "maxpool",
    "squeezenet": "features.2",
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # what the two Inception networks were trained with
MAXVIT_PARTITION = 7


def torchvision(
    name: str,
    family: str,
    classes: int,
    shape: tuple[int, int, int],
    normalize: nn.Module,
    small_stem: bool,
    pretrained: bool,
) -> nn.Module:
    """The model `name` for images of `shape` (C, H, W), without auxiliary outputs.

    The same function of the image as torchvision's, but for SqueezeNet, whose head is a linear layer after the pool
    (torchvision's, a convolution with a ReLU before the pool, can only give logits from 0 up). MaxViT takes smaller
    partitions where images are no multiple of 224. With published weights, pixels are normalised as the weights
    expect, not by this data set's mean and deviation; a first convolution of 3x3 is the middle of the published
    one, and one for grey images its sum over the colours. Raises ValueError, PublishedWeightsError.
    """
    model = _original(name, family, classes, shape, pretrained)
    if pretrained:
        published.load(model, name, (shape[1], shape[2]))
        normalize = _expected_normalize(family, shape[0])
    _fit_stem(model, family, shape[0], small_stem, pretrained)
    return _assembled(model, family, classes, shape, normalize)


def names(name: str, family: str, classes: int, shape: tuple[int, int, int]) -> dict[str, str]:
    """The names of torchvision's tensors, and those of the same tensors here. SqueezeNet's head has none."""
    with torch.device("meta"):
        model = _original(name, family, classes, shape, False)
        theirs = model.state_dict(keep_vars=True)
        network = _assembled(model, family, classes, shape, nn.Identity())
    ours = {id(tensor): path for path, tensor in network.state_dict(keep_vars=True).items()}
    return {path: ours[id(tensor)] for path, tensor in theirs.items() if id(tensor) in ours}


def _assembled(model: Any, family: str, classes: int, shape: tuple[int, int, int], normalize: nn.Module) -> nn.Module:
    if family == "vit":
        patch = model.patch_size
        return ClassToken(normalize, model, (shape[1] // patch, shape[2] // patch))
    return nn.Sequential(OrderedDict(normalize=normalize) | PARTS[family](model, classes))


def _fit_stem(model: nn.Module, family: str, channels: int, small: bool, keep: bool) -> None:
    """Makes the stem fit the image's size and channels; `keep`: from the weights that it has."""
    if small and family in FIRST_POOL:
        _replace(model, FIRST_POOL[family], nn.Identity())
    _fit_first_convolution(model, channels, small, keep)


def _original(name: str, family: str, classes: int, shape: tuple[int, int, int], pretrained: bool) -> Any:
    if family == "maxvit":
        return _maxvit(classes, (shape[1], shape[2]), pretrained)
    extra = {"aux_logits": False, "init_weights": True} if family in ("googlenet", "inception") else {}
    with _real_block_sizes():
        model: Any = models.get_model(name, weights=None, num_classes=classes, **extra)
    if family == "vit":
        tokens = 1 + (shape[1] // model.patch_size) * (shape[2] // model.patch_size)
        model.encoder.pos_embedding = nn.Parameter(torch.empty(1, tokens, model.hidden_dim).normal_(std=0.02))
    return model


@contextmanager
def _real_block_sizes() -> Iterator[None]:
    """RegNet computes its blocks' sizes with tensors, which must hold numbers on the meta device too."""
    compute = BlockParams.from_init_params

    def on_cpu(*args: Any, **kwargs: Any) -> BlockParams:
        with torch.device("cpu"):
            return compute(*args, **kwargs)

    with mock.patch.object(BlockParams, "from_init_params", on_cpu):
        yield


def _maxvit(classes: int, size: tuple[int, int], pretrained: bool) -> nn.Module:
    """maxvit_t, whose partitions must cut every map into whole parts: 7 as published, or what these images allow."""
    windows = math.gcd(*size) // 32
    partition = MAXVIT_PARTITION if windows % MAXVIT_PARTITION == 0 else windows
    if partition == 1 or (pretrained and partition != MAXVIT_PARTITION):
        needed = "224" if pretrained else "64, 96, 128 or more, in steps of 32, and have a common divisor of 64 or more"
        raise ValueError(f"maxvit_t needs images whose sides are multiples of {needed}, not {size[0]}x{size[1]}")
    return models.MaxVit(
        input_size=size,
        stem_channels=64,
        partition_size=partition,
        block_channels=[64, 128, 256, 512],
        block_layers=[2, 2, 5, 2],
        head_dim=32,
        stochastic_depth_prob=0.2,
        num_classes=classes,
    )


def _expected_normalize(family: str, channels: int) -> nn.Module:
    mean, std = HALF if family in ("googlenet", "inception") else IMAGENET
    return Normalize(mean, std) if channels == 3 else Normalize([sum(mean) / 3], [sum(std) / 3])


def _fit_first_convolution(model: nn.Module, channels: int, small: bool, keep: bool) -> None:
    """Another first convolution where the image's channels or the small stem ask for it; `keep`: with its weights."""
    found: Any = next((path, m) for path, m in model.named_modules() if isinstance(m, nn.Conv2d))
    path, old = found
    wanted = ((3, 3), (1, 1), (1, 1)) if small else (old.kernel_size, old.stride, old.padding)
    if channels == old.in_channels and wanted == (old.kernel_size, old.stride, old.padding):
        return
    kernel, stride, padding = wanted
    new = nn.Conv2d(channels, old.out_channels, kernel, stride, padding, bias=old.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if keep:
        cut = (old.kernel_size[0] - kernel[0]) // 2
        weight = old.weight.detach()[:, :, cut : cut + kernel[0], cut : cut + kernel[1]]
        new.weight = nn.Parameter((weight if channels == 3 else weight.sum(1, keepdim=True)).clone())
    if old.bias is not None:
        new.bias = nn.Parameter(old.bias.detach().clone())
    _replace(model, path, new)


def _replace(model: nn.Module, path: str, new: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)
