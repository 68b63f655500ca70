"""ONNX files of networks whose weights lie on a grid: the fp32 file, and where each layer's weights are in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcore.compress.step import CompressError, StepInput
from kdcore.lazy import nn, torch

VERIFIED_IMAGES = 64
TOLERANCE = 1e-4


def fp32(material: StepInput, network: nn.Module, path: Path) -> None:
    """Writes `network`, of the same structure as the parent's file, as an fp32 file.

    The parent's graph is filled with its weights; where they cannot be found there, it is exported again. Raises
    CompressError when no file does what the network does.
    """
    import numpy as np
    import onnx

    from kdcore.export import onnx_file, runtime, template
    from kdcore.export.graph import constants
    from kdcore.models.fold import folded

    images = material.images[:VERIFIED_IMAGES].numpy()
    with torch.no_grad():
        expected = network(material.images[:VERIFIED_IMAGES]).numpy()
    try:
        parent, plain = onnx.load(material.onnx), folded(network) or network
        onnx.save(template.filled(parent, plain), path)
        named = {name for name, value in plain.named_parameters() if value.ndim > 1} & plain.state_dict().keys()
        renamed = named - constants(parent).keys()
        largest = TOLERANCE * max(1.0, np.abs(expected).max())
        if not renamed and np.abs(runtime.logits(path, images) - expected).max() <= largest:
            return
    except Exception:  # a damaged or foreign parent: the export says so
        path.unlink(missing_ok=True)
    try:
        onnx_file.export(network, material.shape, path, images=images)
    except onnx_file.ExportError as error:
        raise CompressError(str(error)) from error


def matched(model: Any, network: nn.Module, names: Iterable[str]) -> dict[str, Any]:
    """The graph's layers by the module's name: by the weight's name or, where the exporter renamed it, by its numbers.

    Raises CompressError for a layer that is not in the graph.
    """
    import numpy as np

    from kdcore.export.graph import weighted

    layers = weighted(model)
    by_name, free = {layer.name: layer for layer in layers}, list(layers)
    found = {}
    for name in names:
        weight: Any = network.get_submodule(name).weight
        weight = weight.detach().numpy()
        layer = by_name.get(name) or next(
            (one for one in free if one.weight.shape == weight.shape and np.allclose(one.weight, weight, 1e-4, 1e-7)),
            None,
        )
        if layer is None:
            raise CompressError(f"the weights of {name} are not in the exported graph as they are in the network")
        free = [one for one in free if one is not layer]
        found[name] = layer
    return found


def axis(node: Any) -> int:
    """The axis of the filters (outputs) in the weight as it is stored."""
    if node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute):
        return 0
    return 1


def fitted(weight: Any, codes: Any, name: str) -> Any:
    """The scales (F,), one a filter and none zero, whose products with the codes are the file's weights.

    Batch norm is folded into these; where its own scale is negative, the filter's is too.
    """
    import numpy as np

    rows, whole = weight.reshape(len(weight), -1).astype(np.float64), codes.reshape(len(codes), -1)
    scale = (rows * whole).sum(1) / np.maximum((whole * whole).sum(1), 1)
    if np.abs(rows - whole * scale[:, None]).max() > TOLERANCE * max(np.abs(rows).max(), 1e-12):
        raise CompressError(f"the weights of {name} are not on their grid in the exported graph")
    return np.where(scale == 0, 1, scale).astype(np.float32)


def merge(model: Any) -> None:
    """Holds constants of equal content once, in place."""
    known: dict[Any, str] = {}
    instead: dict[str, str] = {}
    for tensor in list(model.graph.initializer):
        content = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
        if tensor.raw_data and known.setdefault(content, tensor.name) != tensor.name:
            instead[tensor.name] = known[content]
            model.graph.initializer.remove(tensor)
    for node in model.graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]


def part(model: Any) -> None:
    """Gives each layer weights of its own, in place, where several read the same."""
    from kdcore.export.graph import WEIGHTED, constants

    known, seen = constants(model), set()
    for place, node in enumerate(model.graph.node):
        name = node.input[1] if node.op_type in WEIGHTED else ""
        if name in seen and name in known:
            own = model.graph.initializer.add()
            own.CopyFrom(known[name])
            own.name = node.input[1] = f"{name}_{place}"
        seen.add(name)


def prepare(source: Path, target: Path) -> Any:
    """The graph of `source` as quantizers want it, shapes inferred and nodes fused; also written to `target`."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(source, target, skip_symbolic_shape=True)
    model = onnx.load(target)
    restore_names(model, onnx.load(source))
    onnx.save(model, target)
    return model


def restore_names(model: Any, source: Any) -> None:
    """Gives the layers' weights, in place, the names that they have in `source`, which `model` was made from.

    Quantizers and optimizers call what they write as they like. A layer is known by its weights: each filter points
    the way it did, whatever it was scaled or rounded by; of several alike the first is taken. Weights stored in
    another type than before are called NAME_quantized.
    """
    from kdcore.export.graph import weighted

    free = [(layer, _directions(layer.weight)) for layer in weighted(source)]
    names: dict[str, str] = {}
    for layer in weighted(model):
        mine = _directions(layer.weight)
        alike = [abs((mine * one).sum(1)).sum() if mine.shape == one.shape else -1 for _, one in free]
        if max(alike, default=-1) < 0 or layer.stored in names:  # not from there, or tied
            continue
        origin, _ = free.pop(alike.index(max(alike)))
        names[layer.stored] = origin.stored if layer.bits == origin.bits else f"{origin.stored}_quantized"
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _directions(weight: Any) -> Any:
    """Each filter as a row of length one; of zeros where it is zero."""
    import numpy as np

    rows = weight.reshape(len(weight), -1)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
