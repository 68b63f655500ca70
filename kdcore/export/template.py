"""An exported graph kept without its weights, to be filled with those of the next network of equal structure.

Exporting takes a second or more and mostly finds the same graph again: the teacher, the student and the
pruned student of one architecture differ in their tensors only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import fx, nn

from kdcore.export.graph import constants
from kdcore.files import replacing
from kdcore.inputs import Shape

VERSION = 2  # raise it when the same network should be exported to another graph
WIDTHS = {"in_channels", "out_channels", "in_features", "out_features", "num_features"}


def keys(network: fx.GraphModule, shape: Shape) -> list[str]:
    """Names under which a graph for this network may be kept: for its exact tensor shapes, and for any widths."""
    state = dict(sorted(network.state_dict().items()))
    used = {str(node.target) for node in network.graph.nodes if node.op == "call_module"}
    layers = [(name, _settings(module)) for name, module in network.named_modules() if name in used]
    numbers = [(n, v.tolist()) for n, v in state.items() if not v.is_floating_point() and "batches_tracked" not in n]
    general = (VERSION, torch.__version__, onnx.__version__, network.code, layers, numbers, tuple(shape))
    exact = [(name, tuple(value.shape)) for name, value in state.items()]
    ranks = [(name, value.ndim) for name, value in state.items()]
    return [hashlib.sha256(repr((general, part)).encode()).hexdigest() for part in (exact, ranks)]


def _settings(module: nn.Module) -> tuple[Any, ...]:
    """What a layer does apart from its weights: its type, stride, padding and the like."""
    names = getattr(module, "__constants__", None)
    if names is None:
        return type(module).__qualname__, module.extra_repr()
    settings = [(name, repr(getattr(module, name))) for name in names if name not in WIDTHS and hasattr(module, name)]
    return type(module).__qualname__, settings


def randomize(network: nn.Module) -> None:
    """Other weights in place, no two alike and none zero: an exporter merges equal constants and drops zeros."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """The state, and under the names of their layers the weights of linear layers as exporters may store them: turned
    around."""
    linear = {name: layer.weight.T for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}
    return {name: value.detach() for name, value in (network.state_dict() | linear).items()}


def emptied(model: onnx.ModelProto, network: nn.Module) -> onnx.ModelProto | None:
    """A copy without the weights; None when some weight is not in the graph as it is in the network."""
    template = onnx.ModelProto()
    template.CopyFrom(model)
    state = tensors(network)
    for name, tensor in constants(template).items():
        if name in state:
            if not np.array_equal(numpy_helper.to_array(tensor), state[name].numpy()):
                return None
            tensor.ClearField("raw_data")
    return template


def filled(template: onnx.ModelProto, network: nn.Module) -> onnx.ModelProto:
    """A copy of the template with the network's weights."""
    model = onnx.ModelProto()
    model.CopyFrom(template)
    state = tensors(network)
    for name, tensor in constants(model).items():
        if name in state:
            tensor.CopyFrom(numpy_helper.from_array(state[name].contiguous().numpy(), name))
    return model


def find(cache: Path, names: list[str]) -> onnx.ModelProto | None:
    """The first template that is kept under one of these names; a damaged one counts as none."""
    for name in names:
        try:
            return onnx.load_model_from_string((cache / f"{name}.onnx").read_bytes())
        except FileNotFoundError:
            continue
        except Exception:  # protobuf's DecodeError, whose module differs by version
            continue
    return None


def keep(cache: Path, names: list[str], template: onnx.ModelProto) -> None:
    """Keeps the template under these names."""
    cache.mkdir(parents=True, exist_ok=True)
    for name in names:
        with replacing(cache / f"{name}.onnx") as temporary:
            temporary.write_bytes(template.SerializeToString())
