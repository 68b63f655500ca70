"""Weights in 16 bits: half the file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.traits import StepTraits, any_graph
from kdcore.inputs import EVERY
from kdcore.registry import Options, by_options, register


class Half(Options):
    """Options of 16-bit weights."""

    format: Literal["fp16", "bf16"] = Field(
        "fp16",
        description="fp16: 10 bits of fraction, numbers up to 65,504. bf16: 7 bits of fraction, the range of fp32.",
    )


@register(
    "step",
    "half",
    "Weights in 16 bits: half the size, the same speed",
    source="Micikevicius et al. 2018, arXiv:1710.03740 (fp16); Kalamkar et al. 2019, arXiv:1905.12322 (bf16)",
    options=Half,
    traits=StepTraits(
        variant="quantized",
        stage="quantize",
        label=by_options(lambda options: options.format),
        faster=False,
        final=True,
        graph=any_graph,
        why="On this processor ONNX Runtime has no 16-bit convolution or matrix product: it converts the "
        "weights to fp32 when it loads the file, and computes in fp32.",
        reads=EVERY,
        formula=r"\hat W = \mathrm{fp16}(W)",
        helps="As a safe first step for storage: half the size and hardly any error; no faster on a CPU.",
    ),
)
def quantize(material: StepInput, options: Half) -> StepResult:
    """A file whose weights are 16-bit numbers, rounded to nearest; biases and all arithmetic stay fp32.

    The file turns them to fp32 by Cast, which ONNX Runtime does once, when it loads the file. A graph that computes in
    fp16 gains nothing more there (casts are put in), and one in bf16 does not run: it has no such convolution. The
    network itself is unchanged. Raises CompressError for a file that cannot be read, or a weight beyond the range.
    """
    import onnx
    from onnx import helper

    from kdcore.export.graph import slim

    target = material.folder / f"{options.format}.onnx"
    try:
        model = onnx.load(material.onnx)
    except Exception as error:  # protobuf's DecodeError, whose module differs by version
        raise CompressError(f"{material.onnx.name} is not an ONNX model") from error
    report: list[dict[str, Any]] = []
    casts = [
        helper.make_node("Cast", [f"{place}_quantized"], [place], to=onnx.TensorProto.FLOAT)
        for place in _narrow(model, options.format, report)
    ]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    slim(model)
    onnx.save(model, target)
    return StepResult(material.network, report, onnx=target)


def _narrow(model: Any, kind: str, report: list[dict[str, Any]]) -> list[str]:
    """Replaces, in place, the layers' weights by 16-bit ones of another name; returns their old names."""
    import ml_dtypes
    import numpy as np
    from onnx import numpy_helper

    from kdcore.export.graph import constants, weighted

    dtype = np.dtype(np.float16 if kind == "fp16" else ml_dtypes.bfloat16)
    known = constants(model)
    places = []
    for layer in weighted(model):
        place = layer.node.input[1]
        if place not in known or place in places:
            continue
        whole = numpy_helper.to_array(known[place])
        with np.errstate(over="ignore"):
            stored = whole.astype(dtype)
        back = stored.astype(np.float32)
        if not np.isfinite(back).all():
            raise CompressError(f"the weights of {layer.name} are beyond the range of {kind}: choose bf16")
        error = float(np.linalg.norm(back - whole) / max(float(np.linalg.norm(whole)), 1e-12))
        report.append({"name": layer.name, "bits": 16, "weight_error": error, "stored_bits": 16})
        known[place].CopyFrom(numpy_helper.from_array(stored, f"{place}_quantized"))
        places.append(place)
    if not places:
        raise CompressError("the file has no weights that can be stored in 16 bits")
    return places
