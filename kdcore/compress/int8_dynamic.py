"""Dynamic int8 quantization of the exported file: activation ranges are computed at every call."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.compress.int8 import report, saturates
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.files import merge, part, prepare, restore_names
from kdcore.compress.traits import StepTraits, any_graph
from kdcore.inputs import EVERY
from kdcore.problems import first_line
from kdcore.registry import Options, by_options, register

KINDS = {
    "all": ["Conv", "Gemm", "MatMul"],
    "linear": ["Gemm", "MatMul"],
    "linear and embedding": ["Gemm", "MatMul", "Gather"],
}
WHAT = {"all": "", "linear": ", linear layers", "linear and embedding": ", with embedding"}


class Int8Dynamic(Options):
    """Options of dynamic int8 quantization."""

    layers: Literal["all", "linear", "linear and embedding"] = Field(
        "all",
        description="Also quantize convolutions, for size; or only linear layers, which ONNX Runtime runs fast; or "
        "those and the embeddings of tokens, most of a language model's bytes.",
    )
    per_channel: bool = Field(True, description="One scale per filter. Off: one per layer, which loses more accuracy.")


def _why(options: Int8Dynamic) -> str:
    if options.layers != "all":
        return "Only linear layers are quantized; convolutions, if there are any, stay fp32: use static int8 for those."
    return (
        "ONNX Runtime has no fast int8 convolution with dynamic ranges: convolutions run 4 to 20 times "
        "slower than in fp32. Only linear layers gain. Use static int8 for convolutions."
    )


@register(
    "step",
    "int8_dynamic",
    "Weights in 8 bits, activation ranges computed at every call: no calibration, but slow on convolutions",
    source="ONNX Runtime quantize_dynamic; Jacob et al. 2018, arXiv:1712.05877, for the arithmetic",
    version=2,
    options=Int8Dynamic,
    traits=StepTraits(
        variant="quantized",
        stage="quantize",
        label=by_options(lambda options: "int8 dynamic" + WHAT[options.layers]),
        faster=False,
        final=True,
        reads=EVERY,
        graph=any_graph,
        why=by_options(_why),
        formula=r"\hat W = s_W\,q_W, \quad s_x = \max |x| / 127 \text{ at every call}",
        helps="For networks of linear layers, and where no calibration examples exist. Convolutions become slower.",
    ),
)
def quantize(material: StepInput, options: Int8Dynamic) -> StepResult:
    """An int8 file from the network's fp32 file, without any images. The network itself is unchanged.

    Raises CompressError when ONNX Runtime cannot quantize the file.
    """
    from kdcore.export.quiet import quiet

    prepared, target = material.folder / "prepared.onnx", material.folder / "int8_dynamic.onnx"
    try:
        with quiet():
            import onnx
            from onnxruntime import quantization

            from kdcore.export.graph import slim

            model = prepare(material.onnx, prepared)
            part(model)  # the quantizer turns weights around where they are, once for each layer that reads them
            quantization.quantize_dynamic(
                model,
                target,
                op_types_to_quantize=KINDS[options.layers],
                per_channel=options.per_channel,
                reduce_range=saturates(),
                weight_type=quantization.QuantType.QInt8,
            )
            made = onnx.load(target)
            merge(made)
            restore_names(made, onnx.load(prepared))
            slim(made)
            onnx.save(made, target)
    except Exception as error:  # the quantizer raises many kinds
        reason = first_line(error)
        raise CompressError(f"ONNX Runtime cannot quantize {material.onnx.name}: {reason}") from error
    return StepResult(material.network, report(prepared, target), onnx=target)
