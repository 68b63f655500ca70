"""Dynamic int8 quantization of the exported file: the range of each activation is taken anew at every call."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.compress.int8 import report, saturates
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.files import merge, part, prepare, restore_names
from kdcore.compress.traits import StepTraits
from kdcore.problems import first_line
from kdcore.registry import Options, by_options, register

KINDS = {"all": ["Conv", "Gemm", "MatMul"], "linear": ["Gemm", "MatMul"]}


class Int8Dynamic(Options):
    """Options of dynamic int8 quantization."""

    layers: Literal["all", "linear"] = Field(
        "all", description="Convolutions too, for their size; or linear layers alone, which ONNX Runtime is fast at."
    )
    per_channel: bool = Field(
        True, description="A scale for each filter. Off: one for all weights of a layer, which loses more."
    )


def _why(options: Int8Dynamic) -> str:
    if options.layers == "linear":
        return "Only linear layers are quantized and gain: convolutions stay fp32. Static int8 is the one for those."
    return (
        "ONNX Runtime has no fast int8 convolution whose ranges are found on the way: convolutions run 4 to 20 times "
        "slower than in fp32. Only linear layers gain. Static int8 is the one for convolutions."
    )


@register(
    "step",
    "int8_dynamic",
    "Weights in 8 bits, activations measured at every call: no calibration, but slow on convolutions",
    source="ONNX Runtime quantize_dynamic; Jacob et al. 2018, arXiv:1712.05877, for the arithmetic",
    version=2,
    options=Int8Dynamic,
    traits=StepTraits(
        variant="quantized",
        stage="quantize",
        label=by_options(lambda options: "int8 dynamic" + (", linear layers" if options.layers == "linear" else "")),
        faster=False,
        final=True,
        why=by_options(_why),
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
