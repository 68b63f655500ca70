"""timm's models under this zoo's names: normalize, one stage with all but the classifier, and head."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from kdcore.models.nets.normalize import Normalize
from kdcore.models.published import PublishedWeightsError
from kdcore.problems import first_line

REMEDY = "choose one of torchvision, or export it and start from an ONNX file"


def timm(name: str, classes: int, shape: tuple[int, int, int], normalize: nn.Module, pretrained: bool) -> nn.Sequential:
    """The model `name` for images of `shape` (C, H, W): the same function of the image as timm's.

    With published weights, pixels are normalised as the weights expect, and the published head is kept where it has
    as many classes. Raises ValueError, PublishedWeightsError.
    """
    model = _original(name, classes, shape, pretrained)
    if pretrained:
        expected = [model.pretrained_cfg[part] for part in ("mean", "std")]
        normalize = Normalize(*([sum(part) / len(part)] if shape[0] == 1 else part for part in expected))
    return _assembled(name, model, normalize)


def names(name: str, classes: int, shape: tuple[int, int, int]) -> dict[str, str]:
    """The names of timm's tensors, and those of the same tensors here."""
    with torch.device("meta"):
        model = _original(name, classes, shape, pretrained=False)
        theirs = model.state_dict(keep_vars=True)
        network = _assembled(name, model, nn.Identity())
    ours = {id(tensor): path for path, tensor in network.state_dict(keep_vars=True).items()}
    return {path: ours[id(tensor)] for path, tensor in theirs.items() if id(tensor) in ours}


def library() -> Any:
    """timm itself. Raises ValueError where it is not installed."""
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise ValueError("timm is not installed: pip install 'kdcore[timm]'") from None


def _original(name: str, classes: int, shape: tuple[int, int, int], pretrained: bool) -> Any:
    zoo = library()
    try:
        about = zoo.get_pretrained_cfg(name)
        known = about is not None or zoo.is_model(name)
    except RuntimeError:  # of a tag that the model does not have
        known = False
    if not known:
        near = zoo.list_models(f"{name.partition('.')[0].split('_')[0]}*")[:3]
        raise ValueError(f"timm has no model {name!r}" + (f"; try: {', '.join(near)}" if near else ""))
    sized = {"img_size": tuple(shape[1:])} if about is not None and about.fixed_input_size else {}
    try:
        return zoo.create_model(name, pretrained=pretrained, num_classes=classes, in_chans=shape[0], **sized)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise ValueError(f"timm's {name} does not take these images: {first_line(error)}") from None
        raise PublishedWeightsError(
            f"the published weights of timm's {name} cannot be downloaded from Hugging Face ({first_line(error)}): "
            "connect this machine, or give them as a weights file"
        ) from None
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"timm's {name} does not take these images: {first_line(error)}") from None


def _assembled(name: str, model: Any, normalize: nn.Module) -> nn.Sequential:
    head = model.get_classifier()
    if not isinstance(head, nn.Linear):
        raise ValueError(f"timm's {name} has no single linear classifier: {REMEDY}")
    model.reset_classifier(0)
    return nn.Sequential(OrderedDict(normalize=normalize, stage1=model, head=head))
