"""A network as an ONNX file that is checked against PyTorch on real images before anybody reads a number from it."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import fx, nn

from kdcore import inputs
from kdcore.export import runtime, template
from kdcore.export.graph import simplify, slim
from kdcore.export.quiet import quiet
from kdcore.models.fold import folded
from kdcore.problems import first_line

TOLERANCE = 1e-4  # of the largest logit: float32 in another order of operations


class ExportError(RuntimeError):
    """The network has no ONNX file that does the same."""


def export(
    network: nn.Module,
    shape: inputs.Shape,
    path: Path,
    *,
    images: np.ndarray | Sequence[np.ndarray],
    cache: Path | None = None,
) -> dict[str, Any]:
    """Writes `network` to `path` and verifies the file on `images`, float32 (n, C, H, W) in [0, 1], or on batches.

    The file takes "images" float32 (batch, C, H, W) of any batch, `shape` being (C, H, W), or what another kind of
    input takes, and gives
    "logits" (batch, K). Batch norm is folded into the layers before it. Graphs are kept in the folder
    `cache`: the next network of equal structure is then written in a tenth of the time.

    Returns opset, ir_version, size_bytes, verified_images, max_abs_difference (of the logits), reused
    (whether a kept graph was filled) and seconds. The network itself is left as it was. Raises ExportError.
    """
    started = time.perf_counter()
    plain = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    batches = [images] if isinstance(images, np.ndarray) else list(images)
    with torch.inference_mode():
        expected = [plain(torch.from_numpy(batch)).numpy() for batch in batches]
    if not all(np.isfinite(logits).all() for logits in expected):
        raise ExportError("the network's outputs are not finite, so it cannot be exported")
    difference = np.inf
    for model, reused in _candidates(plain, shape, cache):
        path.write_bytes(model.SerializeToString())
        difference = max(_difference(path, *pair) for pair in zip(batches, expected, strict=True))
        if difference <= TOLERANCE * max(1.0, *(float(np.abs(logits).max()) for logits in expected)):
            return {
                "opset": model.opset_import[0].version,
                "ir_version": model.ir_version,
                "size_bytes": os.path.getsize(path),
                "verified_images": sum(map(len, batches)),
                "max_abs_difference": difference,
                "reused": reused,
                "seconds": time.perf_counter() - started,
            }
    path.unlink()
    raise ExportError(f"the exported file differs from the network by {difference:.2g} in a logit")


def _candidates(network: nn.Module, shape: inputs.Shape, cache: Path | None) -> Iterator[tuple[onnx.ModelProto, bool]]:
    """Models to try in turn, the quickest first, and whether a kept graph was filled; a plain export comes last."""
    graph = folded(network)
    if graph is not None:
        names = template.keys(graph, shape)
        kept = template.find(cache, names) if cache else None
        if kept is not None:
            yield template.filled(kept, graph), True
        made = _made(graph, shape)
        if made is not None:
            if cache:
                template.keep(cache, names if kept is None else names[:1], made)
            yield template.filled(made, graph), False
    model = _convert(network, shape)
    _name(model, network)
    slim(model)
    yield model, False


def _made(graph: fx.GraphModule, shape: inputs.Shape) -> onnx.ModelProto | None:
    """A new template for the network; None when its weights are ambiguous in the graph."""
    other = copy.deepcopy(graph)
    template.randomize(other)
    try:
        model = _convert(other, shape)
    except ExportError:
        return None
    _name(model, other)
    simplify(model)
    slim(model)
    return template.emptied(model, other)


def _name(model: onnx.ModelProto, network: nn.Module) -> None:
    """Names the weights that the exporter has stored transposed, and called by a number, after their layers."""
    layers: dict[tuple[tuple[int, ...], bytes], list[str]] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear):
            weight = module.weight.detach().numpy().T
            layers.setdefault((weight.shape, weight.tobytes()), []).append(name)
    names = {}
    for tensor in model.graph.initializer:
        alike = layers.get((tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes()), [])
        if alike and len(tensor.dims) == 2 and tensor.name not in network.state_dict():
            names[tensor.name] = tensor.name = alike.pop(0)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _convert(network: nn.Module, shape: inputs.Shape) -> onnx.ModelProto:
    """PyTorch's own exporter. The example batch is 2: a 1 would become a constant."""
    kind = inputs.of(shape)
    try:
        with quiet():
            program: Any = torch.onnx.export(
                network,
                (kind.example(shape, 2),),
                dynamo=True,
                dynamic_shapes=(kind.axes(shape),),
                input_names=[kind.onnx_name],
                output_names=["logits"],
                verbose=False,
            )
        return program.model_proto
    except Exception as error:  # the exporter raises many kinds
        raise ExportError(f"{type(network).__name__} cannot be exported to ONNX: {first_line(error)}") from error


def _difference(path: Path, images: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference of the file's logits; infinite when the file cannot be run or gives another shape."""
    try:
        given = runtime.logits(path, images)
    except ValueError:
        return float("inf")
    if given.shape != expected.shape or not np.isfinite(given).all():
        return float("inf")
    return float(np.abs(given - expected).max())
