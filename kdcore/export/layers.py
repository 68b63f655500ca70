"""The layers of a deployed ONNX file: their shapes, costs, zeros and the spread of their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from kdcore import inputs
from kdcore.export.graph import Weighted, weighted
from kdcore.export.onnx_macs import run_shapes
from kdcore.problems import first_line

BINS = 32
LARGEST_RANK = 512  # of the shorter side of a weight whose rank is computed: 0.2 s at 512 x 4608


def layers(path: Path, shape: inputs.Shape) -> list[dict[str, Any]]:
    """The layers with weights (Conv, Gemm, MatMul), in the order of the graph, for images (C, H, W).

    Each has `name` (the module's path), `type`, `shape` of the weight with filters first, `params` (with the bias),
    `weights`, `macs` for one image, `zeros` and `sparsity` (a share) of the weights, `filters` and `zero_filters`
    (whose weights are all zero), `channels` and `zero_channels` (likewise of the inputs), `mean_abs` and
    `std` of the weights, `bits` a weight, `rank` (see `rank`), `distinct` (how many different numbers there are, and
    `distinct_in_filter` in one filter at most: batch norm is folded into each by itself), and `histogram`: 33 `edges`,
    32 `counts`. Weights of int8 files are dequantized. Raises
    ValueError for a file that is no ONNX model, or whose layers' output shapes cannot be inferred.
    """
    model = checked(path)
    held = weighted(model)
    sizes = output_sizes(model, shape)
    unknown = [layer for layer in held if 0 in (sizes.get(layer.node.output[0]) or (0,))]
    if unknown:  # running the model gives the shapes that inference cannot find
        sizes |= _sizes_when_run(path, model, shape, unknown)
    return [_describe(layer, sizes[layer.node.output[0]]) for layer in held]


def checked(path: Path) -> onnx.ModelProto:
    """Raises ValueError for a file that is no ONNX model."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's DecodeError, ONNX's ValidationError
        raise ValueError(f"{path} is not an ONNX model: {first_line(error)}") from None
    return model


def output_sizes(model: onnx.ModelProto, shape: inputs.Shape) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors between nodes, for one input; those that inference finds."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    dimensions = single.graph.input[0].type.tensor_type.shape.dim
    for dimension, length in zip(dimensions, inputs.of(shape).plain(shape, 1).shape, strict=True):
        dimension.dim_value = length
    for output in single.graph.output:
        output.type.tensor_type.ClearField("shape")
    del single.graph.value_info[:]  # what it says there of a free batch is not so of one image
    inferred = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    return {
        value.name: tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
        for value in (*inferred.value_info, *inferred.output)
    }


def _sizes_when_run(
    path: Path, model: onnx.ModelProto, shape: inputs.Shape, unknown: Sequence[Weighted]
) -> dict[str, tuple[int, ...]]:
    try:
        return run_shapes(model, inputs.of(shape).plain(shape, 1), {layer.node.output[0] for layer in unknown})
    except Exception as error:  # ONNX Runtime's have no common base
        message = f"{path}: the output shape of layer {unknown[0].name} cannot be inferred: {first_line(error)}"
        raise ValueError(message) from None


def _describe(layer: Weighted, output: tuple[int, ...]) -> dict[str, Any]:
    values, kind = layer.weight, layer.node.op_type
    spatial = math.prod(output[2:]) if kind.startswith("Conv") else math.prod(output[1:-1])
    per_filter = values.reshape(len(values), -1)
    per_channel = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    zeros = int((values == 0).sum())
    counts, edges = np.histogram(values, BINS)
    return {
        "name": layer.name,
        "type": kind,
        "shape": list(values.shape),
        "params": values.size + (layer.bias.size if layer.bias is not None else 0),
        "weights": values.size,
        "macs": values.size * spatial,
        "zeros": zeros,
        "sparsity": zeros / values.size,
        "filters": len(per_filter),
        "zero_filters": int((per_filter == 0).all(axis=1).sum()),
        "channels": len(per_channel),
        "zero_channels": int((per_channel == 0).all(axis=1).sum()),
        "mean_abs": float(np.abs(values).mean()),
        "std": float(values.std()),
        "bits": layer.bits,
        "rank": rank(per_filter),
        "distinct": len(np.unique(values)),
        "distinct_in_filter": 1 + int((np.diff(np.sort(per_filter, axis=1), axis=1) != 0).sum(axis=1).max()),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def rank(matrix: np.ndarray) -> int | None:
    """Numerical rank of a matrix (filters, rest); None where both sides are longer than 512, which would take long.

    Counts the singular values above σ_max · max(rows, columns) · 2⁻²³: the tolerance of `numpy.linalg.matrix_rank` for
    float32, that is what rounding to float32 can make of a zero. They are the roots of the eigenvalues of the smaller
    of the two products with the transpose, in float64, whose own error (1.5e-8 σ_max) is below that.
    """
    short = (matrix if len(matrix) <= matrix.shape[1] else matrix.T).astype(np.float64)
    if len(short) > LARGEST_RANK:
        return None
    values = np.sqrt(np.linalg.eigvalsh(short @ short.T).clip(min=0))
    return int((values > values.max() * max(matrix.shape) * np.finfo(np.float32).eps).sum())
