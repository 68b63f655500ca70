"""How each family of torchvision's models is taken apart: stem, stages by the size of the map, head."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torchvision.ops import Permute

Parts = OrderedDict[str, nn.Module]


class Tokens(nn.Module):
    """A map (B, C, h, w) as tokens with positions after a class token: (B, 1 + h * w, C)."""

    def __init__(self, class_token: nn.Parameter, position: nn.Parameter):
        super().__init__()
        self.class_token, self.position = class_token, position

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        tokens = maps.flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.position


class Map(nn.Module):
    """The tokens beside the class token as a map (B, C, h, w), for those who look at features."""

    def __init__(self, size: tuple[int, int]):
        super().__init__()
        self.size = size

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, 1:].transpose(1, 2).unflatten(2, self.size)


class ClassToken(nn.Module):
    """torchvision's vision transformer. Its stages only show the tokens as maps: the class token goes beside them."""

    def __init__(self, normalize: nn.Module, model: Any, size: tuple[int, int]):
        super().__init__()
        self.normalize = normalize
        self.stem = model.conv_proj
        self.tokens = Tokens(model.class_token, model.encoder.pos_embedding)
        blocks = list(model.encoder.layers)
        quarter = len(blocks) // 4
        self.blocks = nn.ModuleList(nn.Sequential(*blocks[at * quarter : (at + 1) * quarter]) for at in range(4))
        self.stage1, self.stage2, self.stage3, self.stage4 = (Map(size) for _ in range(4))
        self.norm = model.encoder.ln
        self.head = model.heads.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.tokens(self.stem(self.normalize(images)))
        stages = (self.stage1, self.stage2, self.stage3, self.stage4)
        for blocks, stage in zip(self.blocks, stages, strict=True):
            tokens = blocks(tokens)
            stage(tokens)
        return self.head(self.norm(tokens)[:, 0])


def _stages(groups: Iterable[Iterable[nn.Module]]) -> Parts:
    return OrderedDict((f"stage{index}", nn.Sequential(*group)) for index, group in enumerate(groups, 1))


def _before(layers: Iterable[nn.Module], starts: Callable[[nn.Module], bool]) -> list[list[nn.Module]]:
    """The layers in groups; each begins with a layer for which `starts` is true, but the first."""
    groups: list[list[nn.Module]] = [[]]
    for layer in layers:
        if starts(layer) and groups[-1]:
            groups.append([])
        groups[-1].append(layer)
    return groups


def _is_pool(layer: nn.Module) -> bool:
    return isinstance(layer, nn.MaxPool2d)


def _halves(layer: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) and part.stride == (2, 2) for part in layer.modules())


def _end(pool: nn.Module, *hidden: nn.Module, head: nn.Module) -> Parts:
    """Pool, flatten, what comes before the head, head."""
    parts: Parts = OrderedDict(pool=pool, flatten=nn.Flatten())
    if hidden:
        parts["hidden"] = nn.Sequential(*hidden)
    return parts | OrderedDict(head=head)


def _mean() -> nn.Module:
    return nn.AdaptiveAvgPool2d(1)


def _alexnet(model: Any, classes: int) -> Parts:
    stem, *groups = _before(model.features[:-1], _is_pool)
    *hidden, head = model.classifier
    pool = nn.Sequential(model.features[-1], model.avgpool)
    return OrderedDict(stem=nn.Sequential(*stem)) | _stages(groups) | _end(pool, *hidden, head=head)


def _convnext(model: Any, classes: int) -> Parts:
    stem, first, *rest = model.features
    groups = [[first], *(rest[at : at + 2] for at in range(0, len(rest), 2))]
    norm, flatten, head = model.classifier
    parts: Parts = OrderedDict(stem=stem) | _stages(groups)
    return parts | OrderedDict(pool=model.avgpool, norm=norm, flatten=flatten, head=head)


def _densenet(model: Any, classes: int) -> Parts:
    layers = dict(model.features.named_children())
    stem = [layers[name] for name in ("conv0", "norm0", "relu0", "pool0")]
    groups = [[layers["denseblock1"]]]
    groups += [[layers[f"transition{at - 1}"], layers[f"denseblock{at}"]] for at in (2, 3, 4)]
    parts: Parts = OrderedDict(stem=nn.Sequential(*stem)) | _stages(groups)
    parts |= OrderedDict(norm=layers["norm5"], relu=nn.ReLU(inplace=True))
    return parts | _end(_mean(), head=model.classifier)


def _features(model: Any, classes: int) -> Parts:
    """EfficientNet and both MobileNets: the first and the last of their features are no blocks."""
    stem, *blocks, last = model.features
    *hidden, head = model.classifier
    parts: Parts = OrderedDict(stem=stem) | _stages(_before(blocks, _halves)) | OrderedDict(last=last)
    return parts | _end(_mean(), *hidden, head=head)


def _googlenet(model: Any, classes: int) -> Parts:
    groups = [
        [model.maxpool2, model.inception3a, model.inception3b],
        [model.maxpool3, *(getattr(model, f"inception4{letter}") for letter in "abcde")],
        [model.maxpool4, model.inception5a, model.inception5b],
    ]
    stem = nn.Sequential(model.conv1, model.maxpool1, model.conv2, model.conv3)
    return OrderedDict(stem=stem) | _stages(groups) | _end(model.avgpool, model.dropout, head=model.fc)


def _inception(model: Any, classes: int) -> Parts:
    groups = [
        [model.maxpool1, model.Conv2d_3b_1x1, model.Conv2d_4a_3x3],
        [model.maxpool2, model.Mixed_5b, model.Mixed_5c, model.Mixed_5d],
        [getattr(model, f"Mixed_6{letter}") for letter in "abcde"],
        [getattr(model, f"Mixed_7{letter}") for letter in "abc"],
    ]
    stem = nn.Sequential(model.Conv2d_1a_3x3, model.Conv2d_2a_3x3, model.Conv2d_2b_3x3)
    return OrderedDict(stem=stem) | _stages(groups) | _end(model.avgpool, model.dropout, head=model.fc)


def _maxvit(model: Any, classes: int) -> Parts:
    pool, flatten, *hidden, head = model.classifier
    parts: Parts = OrderedDict(stem=model.stem) | _stages([block] for block in model.blocks)
    return parts | OrderedDict(pool=pool, flatten=flatten, hidden=nn.Sequential(*hidden), head=head)


def _mnasnet(model: Any, classes: int) -> Parts:
    parts: Parts = OrderedDict(stem=model.layers[:8]) | _stages(_before(model.layers[8:14], _halves))
    *hidden, head = model.classifier
    return parts | OrderedDict(last=model.layers[14:]) | _end(_mean(), *hidden, head=head)


def _regnet(model: Any, classes: int) -> Parts:
    return (
        OrderedDict(stem=model.stem) | _stages([block] for block in model.trunk_output) | _end(_mean(), head=model.fc)
    )


def _resnet(model: Any, classes: int) -> Parts:
    stem = nn.Sequential(OrderedDict(conv=model.conv1, norm=model.bn1, relu=model.relu, pool=model.maxpool))
    stages = OrderedDict((f"stage{at}", getattr(model, f"layer{at}")) for at in range(1, 5))
    return OrderedDict(stem=stem) | stages | _end(model.avgpool, head=model.fc)


def _shufflenet_v2(model: Any, classes: int) -> Parts:
    stem = nn.Sequential(OrderedDict(conv=model.conv1, pool=model.maxpool))
    parts: Parts = OrderedDict(stem=stem, stage1=model.stage2, stage2=model.stage3, stage3=model.stage4)
    return parts | OrderedDict(last=model.conv5) | _end(_mean(), head=model.fc)


def _squeezenet(model: Any, classes: int) -> Parts:
    stem, *groups = _before(model.features[:2], _is_pool) + _before(model.features[2:], _is_pool)
    head = nn.Linear(model.classifier[1].in_channels, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return OrderedDict(stem=nn.Sequential(*stem)) | _stages(groups) | _end(_mean(), model.classifier[0], head=head)


def _swin(model: Any, classes: int) -> Parts:
    stem, first, *rest = model.features
    groups = [[first], *(rest[at : at + 2] for at in range(0, len(rest), 2))]
    parts: Parts = OrderedDict(stem=nn.Sequential(stem, _channels_first()))
    parts |= _stages([_channels_after(), *group, _channels_first()] for group in groups)
    parts["norm"] = nn.Sequential(_channels_after(), model.norm, _channels_first())
    return parts | OrderedDict(pool=model.avgpool, flatten=model.flatten, head=model.head)


def _channels_first() -> nn.Module:
    return Permute([0, 3, 1, 2])


def _channels_after() -> nn.Module:
    return Permute([0, 2, 3, 1])


PARTS: dict[str, Callable[[Any, int], Parts]] = {
    "alexnet": _alexnet,
    "convnext": _convnext,
    "densenet": _densenet,
    "efficientnet": _features,
    "googlenet": _googlenet,
    "inception": _inception,
    "maxvit": _maxvit,
    "mnasnet": _mnasnet,
    "mobilenet_v2": _features,
    "mobilenet_v3": _features,
    "regnet": _regnet,
    "resnet": _resnet,
    "shufflenet_v2": _shufflenet_v2,
    "squeezenet": _squeezenet,
    "swin": _swin,
    "vgg": _alexnet,
}
