"""ONNX files that compute in int8, with weights exactly on their grid and activations in 8 bits or fewer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kdcore.compress import int8
from kdcore.compress.step import StepInput
from kdcore.compress.tools.files import axis, fitted, fp32, matched
from kdcore.lazy import nn, torch

MOVES = ("MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze")  # values stay what they are


class Step(NamedTuple):
    """The grid of a layer's input: whole numbers 0 … 2^bits - 1, less `zero`, times `scale`."""

    scale: float
    zero: int
    bits: int


def write(
    material: StepInput,
    network: nn.Module,
    codes: Mapping[str, torch.Tensor],
    target: Path,
    *,
    inputs: Mapping[str, Step] | None = None,
    images: int = 256,
) -> None:
    """Writes the file `target`, which does what `network` does with quantized activations.

    `codes`: by layer, whole numbers (as in `grid.codes`) that the layer's weights are multiples of, filter by filter.
    `inputs`: by layer, the grid of its input where it is known (it was learnt); every other activation gets 8 bits
    between its extremes on `images` calibration images. An input of fewer bits is clipped as whole numbers, so the
    arithmetic stays int8. Raises CompressError.
    """
    source, prepared = target.with_name("fp32.onnx"), target.with_name("prepared.onnx")
    fp32(material, network, source)
    known = inputs or {}
    places: dict[str, str] = {}  # what each layer is called in the graph

    def overrides(model: Any) -> dict[str, Any]:
        layers = matched(model, network, codes)
        places.update({name: layer.name for name, layer in layers.items()})
        return _overrides(model, layers, codes, known)

    def finish(made: Any) -> None:
        _clip_inputs(made, {places[name]: step for name, step in known.items() if step.bits < 8})

    int8.static(material, source, prepared, target, int8.Calibration(images), overrides=overrides, finish=finish)


def layers(network: nn.Module) -> list[str]:
    """Names of the layers that an int8 file computes in int8."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.in_channels >= int8.FEW_CHANNELS)
    ]


def _overrides(
    model: Any, layers: Mapping[str, Any], codes: Mapping[str, torch.Tensor], inputs: Mapping[str, Step]
) -> dict[str, Any]:
    """What ONNX Runtime must not choose itself: the scales of the weights, and of 8-bit inputs that are known."""
    import numpy as np

    makers = {output: node for node in model.graph.node for output in node.output}
    asked: dict[str, Any] = {}
    for name, layer in layers.items():
        scale = abs(fitted(layer.weight, codes[name].numpy(), name))  # codes of a negative one turn their signs
        given = {"axis": axis(layer.node), "zero_point": np.int8(0)}
        asked[layer.node.input[1]] = [given | {"scale": value} for value in scale]
        if name in inputs and inputs[name].bits == 8:
            step = inputs[name]
            tensor = _origin(layer.node.input[0], makers)
            asked[tensor] = [{"scale": np.array(step.scale, np.float32), "zero_point": np.array(step.zero, np.uint8)}]
    return asked


def _origin(tensor: str, makers: Mapping[str, Any]) -> str:
    """The tensor whose values these are, before they were only moved or picked."""
    while tensor in makers and makers[tensor].op_type in MOVES:
        tensor = makers[tensor].input[0]
    return tensor


def _clip_inputs(model: Any, inputs: Mapping[str, Step]) -> None:
    """Gives layers, by their names in the graph, inputs of fewer than 8 bits.

    Quantized with the layer's own step, clipped as whole numbers, and back; other readers of the same tensor keep
    it as it was. The int32 bias, whose scale is the product of the input's and the weights', is rewritten.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    from kdcore.export.graph import constants, weighted

    known = constants(model)
    steps = {layer.node.output[0]: inputs[layer.name] for layer in weighted(model) if layer.name in inputs}
    makers = {output: node for node in model.graph.node for output in node.output}
    nodes = []
    for place, node in enumerate(model.graph.node):
        step = steps.get(node.output[0])
        if step is not None:
            name = f"input{place}"
            values = (np.float32(step.scale), np.uint8(step.zero), np.uint8(0), np.uint8(2**step.bits - 1))
            scale, zero, low, high = (f"{name}_{part}" for part in ("scale", "zero", "low", "high"))
            model.graph.initializer.extend(
                numpy_helper.from_array(np.asarray(value), given)
                for value, given in zip(values, (scale, zero, low, high), strict=True)
            )
            nodes += [
                helper.make_node("QuantizeLinear", [node.input[0], scale, zero], [f"{name}_codes"]),
                helper.make_node("Clip", [f"{name}_codes", low, high], [f"{name}_clipped"]),
                helper.make_node("DequantizeLinear", [f"{name}_clipped", scale, zero], [f"{name}_real"]),
            ]
            node.input[0] = f"{name}_real"
            if len(node.input) > 2:
                _rescale(makers[node.input[2]], step.scale, known[makers[node.input[1]].input[1]], known)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _rescale(bias: Any, input_scale: float, weight_scale: Any, known: Mapping[str, Any]) -> None:
    """Writes the int32 codes of a bias for another scale of the layer's input."""
    import numpy as np
    from onnx import numpy_helper

    codes, scale = known[bias.input[0]], known[bias.input[1]]
    real = numpy_helper.to_array(codes) * numpy_helper.to_array(scale).astype(np.float64)
    fresh = np.float32(input_scale) * numpy_helper.to_array(weight_scale)
    codes.CopyFrom(numpy_helper.from_array(np.rint(real / fresh).astype(np.int32), codes.name))
    scale.CopyFrom(numpy_helper.from_array(fresh.astype(np.float32).reshape(scale.dims), scale.name))
