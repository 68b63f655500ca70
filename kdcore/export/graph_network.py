"""An ONNX file's graph in the place of a network, for the steps that need no more than weights and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from kdcore.export import runtime, weights
from kdcore.export.graph import WEIGHTED, Weighted, constants, weighted
from kdcore.inputs.kind import fed

BETA = 1.0  # what a Gemm multiplies its bias by, where it does not say


class _Heard(nn.Module):
    """A layer that is not called by the graph: hooks hear what the graph gave it, and what it gave."""

    said: torch.Tensor

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.said


class _Convolution(_Heard, nn.Conv2d):
    pass


class _Linear(_Heard, nn.Linear):
    pass


class GraphNetwork(nn.Module):
    """The file's float32 Conv, Gemm and MatMul nodes as layers, under the names that they have in the graph.

    Their weights may be changed in place; filters come first, as in a module. It answers images float32 (n, C, H, W)
    in [0, 1] with logits (n, K), by the graph with the weights as they are now, and the layers' hooks hear their
    inputs and outputs. It has no gradients, so nothing can be trained. `state_dict` has the file's own tensors, in the
    file's own layout.
    """

    def __init__(self, model: onnx.ModelProto):
        super().__init__()
        self._model = model
        known = constants(model)
        self._held = {layer.name: layer for layer in reversed(weighted(model)) if _changeable(layer, known)}
        self._held = {name: self._held[name] for name in reversed(self._held)}  # of tied ones the first
        self._layers: dict[str, Any] = {name: _made(layer, known) for name, layer in self._held.items()}
        self._children = nn.ModuleList(self._layers.values())
        self.eval()

    def named_modules(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Module]]:
        """Names in a file may be any text, which those of attributes may not."""
        yield "", self
        yield from self._layers.items()

    def get_submodule(self, target: str) -> nn.Module:
        return self._layers[target] if target else self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The float32 tensors of the file by their names, as the file holds them."""
        kept = {name: one for name, one in constants(self._model).items() if one.data_type == onnx.TensorProto.FLOAT}
        return {name: torch.from_numpy(numpy_helper.to_array(one).copy()) for name, one in kept.items()} | self._own()

    def _own(self) -> dict[str, torch.Tensor]:
        found = {}
        for name, layer in self._held.items():
            module = self._layers[name]
            weight = module.weight.detach()
            found[layer.stored] = (weight if _filters_first(layer) else weight.T).contiguous()
            if module.bias is not None:
                found[layer.node.input[2]] = module.bias.detach()
        return found

    def graph(self) -> onnx.ModelProto:
        """The file's graph with the weights as they are now."""
        return filled(self._model, {name: value.numpy() for name, value in self._own().items()})

    def emptied(self) -> onnx.ModelProto:
        """The graph without the tensors of `state_dict`."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                tensor.ClearField("raw_data")
                tensor.ClearField("float_data")
        return model

    def original(self) -> GraphNetwork:
        """The network of the file as it is."""
        return GraphNetwork(self._model)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        given, model = fed(images), self.graph()
        takes, logits = model.graph.input[0].name, model.graph.output[0].name
        known: dict[str, Any] = {}
        for name, module in self._layers.items():
            if module._forward_hooks:  # one at a time: all layers' outputs together take gigabytes
                node = self._held[name].node
                places = [node.input[0], node.output[0]]
                known = {takes: given} | runtime.values(runtime.exposed(model, places), given)
                taken, module.said = (torch.from_numpy(known[place]) for place in places)
                module(taken)
        if logits not in known:
            return torch.from_numpy(runtime.logits(runtime.session(model.SerializeToString()), given))
        return torch.from_numpy(known[logits])


def filled(model: onnx.ModelProto, tensors: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """A copy of the model with these tensors, by name."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for name, tensor in constants(made).items():
        if name in tensors:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(tensors[name]), name))
    return made


def network_of(folder: Path) -> nn.Module:
    """What a step changes of the finished model in a folder: its network, or of one that is a file alone, the graph.

    Raises FileNotFoundError, DamagedWeights, and what a file raises that is no ONNX model.
    """
    if (folder / weights.TENSORS).is_file():
        return weights.load(folder)
    return GraphNetwork(onnx.load(folder / "model.onnx"))


def _changeable(layer: Weighted, known: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether the node reads its weights as they are stored, in float32: neither quantized nor computed."""
    stored = known.get(layer.node.input[1])
    plain = stored is not None and stored.data_type == onnx.TensorProto.FLOAT and layer.node.op_type in WEIGHTED
    return plain and layer.weight.ndim == (4 if layer.node.op_type == "Conv" else 2)


def _filters_first(layer: Weighted) -> bool:
    return layer.node.op_type == "Conv" or bool(_attribute(layer, "transB", 0))


def _attribute(layer: Weighted, name: str, usual: Any) -> Any:
    found = (onnx.helper.get_attribute_value(one) for one in layer.node.attribute if one.name == name)
    return next(found, usual)


def _made(layer: Weighted, known: Mapping[str, onnx.TensorProto]) -> nn.Module:
    weight, bias = layer.weight, layer.bias
    if bias is not None and (bias.shape != (len(weight),) or _attribute(layer, "beta", BETA) != BETA):
        bias = None
    if bias is not None and layer.node.input[2] not in known:
        bias = None
    with torch.device("meta"):
        module: Any
        if layer.node.op_type == "Conv":
            groups = _attribute(layer, "group", 1)
            module = _Convolution(weight.shape[1] * groups, len(weight), weight.shape[2:], groups=groups, bias=False)
        else:
            module = _Linear(weight.shape[1], len(weight), bias=False)
    module.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(weight).copy()))
    module.bias = None if bias is None else nn.Parameter(torch.from_numpy(bias.copy()))
    return module
