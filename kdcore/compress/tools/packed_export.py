"""ONNX files that hold weights in few bits and compute in fp32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcore.compress.step import CompressError, StepInput
from kdcore.compress.tools.files import axis, fitted, fp32, matched
from kdcore.lazy import nn, torch

INT2, INT4, INT8 = 2, 4, 8
OPSETS = {INT2: (25, 13), INT4: (21, 10)}  # the first opset and file format that have the type


def packed(material: StepInput, network: nn.Module, codes: Mapping[str, torch.Tensor], target: Path) -> dict[str, int]:
    """Writes a file whose weights are whole numbers of 2, 4 or 8 bits and scales; everything is computed in fp32.

    `codes`: by layer, whole numbers (as in `grid.codes`) that the layer's weights in `network` are multiples of,
    filter by filter. The file unpacks them by Cast and Mul, which ONNX Runtime does once, when it loads the file
    (a DequantizeLinear is done at every call: 64 channels at 16x16, 167 to 225 µs). Returns the bits that each
    layer's weights take in the file. Raises CompressError.
    """
    import onnx

    from kdcore.export import runtime

    fp32(material, network, target)
    plain = onnx.load(target)
    needed = {name: _width(whole) for name, whole in codes.items()}
    for least in (INT2, INT4, INT8):  # older runtimes lack the narrow types
        bits = {name: max(width, least) for name, width in needed.items()}
        try:
            onnx.save(_packed(plain, network, codes, bits), target)
            runtime.session(target)
            return bits
        except (runtime.UnreadableModel, AttributeError):
            continue
    raise CompressError("ONNX Runtime cannot read integers as weights here")


def _width(codes: torch.Tensor) -> int:
    lowest, largest = int(codes.min()), int(codes.max())
    return next(bits for bits in (INT2, INT4, INT8) if -(2 ** (bits - 1)) <= lowest and largest < 2 ** (bits - 1))


def _packed(plain: Any, network: nn.Module, codes: Mapping[str, torch.Tensor], bits: Mapping[str, int]) -> Any:
    import onnx
    from onnx import helper, numpy_helper

    from kdcore.export.graph import slim

    model = onnx.ModelProto()
    model.CopyFrom(plain)
    _raise_opset(model, min(bits.values(), default=INT8))
    nodes, done = [], set()
    for name, layer in matched(model, network, codes).items():
        place, outputs = layer.node.input[1], axis(layer.node)
        if place in done:  # tied layers
            continue
        done.add(place)
        whole = codes[name].numpy()
        scale = fitted(layer.weight, whole, name)
        stored = whole if outputs == 0 else whole.T
        along = [-1 if at == outputs else 1 for at in range(stored.ndim)]
        _remove(model, place)
        model.graph.initializer.append(_whole(stored, bits[name], f"{place}_quantized"))
        model.graph.initializer.append(numpy_helper.from_array(scale.reshape(along), f"{place}_scale"))
        cast = helper.make_node("Cast", [f"{place}_quantized"], [f"{place}_cast"], to=onnx.TensorProto.FLOAT)
        nodes += [cast, helper.make_node("Mul", [f"{place}_cast", f"{place}_scale"], [place])]
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    slim(model)
    return model


def _raise_opset(model: Any, bits: int) -> None:
    """The opset and the file format that have whole numbers of so many bits."""
    if bits in OPSETS:
        opset, version = OPSETS[bits]
        main = next(one for one in model.opset_import if one.domain == "")
        main.version, model.ir_version = max(main.version, opset), max(model.ir_version, version)


def _whole(values: Any, bits: int, name: str) -> Any:
    import ml_dtypes
    import numpy as np
    from onnx import numpy_helper

    kind = np.int8 if bits == INT8 else getattr(ml_dtypes, f"int{bits}")
    return numpy_helper.from_array(np.ascontiguousarray(values.astype(np.int8).astype(kind)), name)


def _remove(model: Any, name: str) -> None:
    kept = [tensor for tensor in model.graph.initializer if tensor.name != name]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
