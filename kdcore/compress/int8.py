"""Static int8 quantization of the exported file, with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from kdcore import machine
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.files import prepare, restore_names
from kdcore.compress.tools.images import sample
from kdcore.compress.traits import StepTraits, any_graph
from kdcore.inputs import EVERY
from kdcore.problems import first_line
from kdcore.registry import Options, Searched, by_options, register

BATCH = 64
FEW_CHANNELS = (
    2  # of a convolution's input: below, int8 is 2 to 15 % slower than float; 3 make resnet18@224 1.5x faster
)


class Int8(Options):
    """Options of static int8 quantization."""

    calibration: Literal["minmax", "entropy", "percentile"] = Field(
        "minmax",
        description="How activation ranges are calibrated: the extremes, the range that keeps most information (KL "
        "divergence), or the central 99.999 %.",
    )
    images: int = Field(256, ge=8, le=4096, description="Calibration examples (max): training examples of the student.")
    per_channel: bool = Field(True, description="One scale per filter. Off: one per layer, which loses more accuracy.")


@register(
    "step",
    "int8",
    "Weights and activations in 8 bits: a quarter of the size, faster where the processor has int8 arithmetic",
    source="Jacob et al. 2018, arXiv:1712.05877; ONNX Runtime quantize_static (QDQ)",
    version=3,
    options=Int8,
    traits=StepTraits(
        variant="quantized",
        stage="quantize",
        label="int8",
        faster=True,
        final=True,
        search=(Searched("calibration", choices=("minmax", "percentile")),),
        graph=any_graph,
        looks=by_options(lambda options: options.images),
        reads=EVERY,
        formula=r"\hat x = s\,(q - z) \\ q = \mathrm{clip}(\lfloor x / s \rceil + z, q_{\min}, q_{\max})",
        helps=(
            "First of all: a quarter of the size for little accuracy, without training; faster where the "
            "processor has int8 instructions."
        ),
    ),
)
def quantize(material: StepInput, options: Int8) -> StepResult:
    """An int8 file from the network's fp32 file: weights a scale a filter, activations a scale a tensor.

    Normalisation and convolutions of a single input channel stay float. The network itself is unchanged. Raises
    CompressError when ONNX Runtime cannot quantize the file.
    """
    prepared, target = material.folder / "prepared.onnx", material.folder / "int8.onnx"
    how = Calibration(options.images, options.calibration, options.per_channel)
    static(material, material.onnx, prepared, target, how)
    return StepResult(material.network, report(prepared, target), onnx=target)


class Calibration(NamedTuple):
    """How ranges are found: on how many images, by which method, and for weights by filter or by layer."""

    images: int = 256
    method: str = "minmax"
    per_channel: bool = True


def static(
    material: StepInput,
    source: Path,
    prepared: Path,
    target: Path,
    how: Calibration,
    *,
    overrides: Callable[[Any], dict[str, Any]] | None = None,
    finish: Callable[[Any], None] | None = None,
) -> None:
    """Writes the int8 file `target` of the fp32 file `source`, and `prepared`, the graph that it is made from.

    `overrides`: gives ONNX Runtime's TensorQuantOverrides for the prepared model. `finish`: changes the quantized model
    before it is written. Raises CompressError, for a file too that ONNX Runtime writes and then cannot run.
    """
    from kdcore.export import runtime
    from kdcore.export.quiet import quiet

    try:
        with quiet():
            _quantize(material, source, prepared, target, how, overrides, finish)
    except Exception as error:  # the quantizer raises many kinds
        reason = first_line(error)
        raise CompressError(f"ONNX Runtime cannot quantize {material.onnx.name}: {reason}") from error
    try:
        runtime.logits(target, material.images[:1].numpy())
    except ValueError as error:
        raise CompressError(
            f"ONNX Runtime cannot run the int8 file; the ranges of its activations may differ too much: {error}"
        ) from None


def _quantize(
    material: StepInput,
    source: Path,
    prepared: Path,
    target: Path,
    how: Calibration,
    overrides: Callable[[Any], dict[str, Any]] | None,
    finish: Callable[[Any], None] | None,
) -> None:
    import onnx
    from onnxruntime import quantization

    from kdcore.export.blocks import block
    from kdcore.export.graph import slim

    model = prepare(source, prepared)
    for place, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{place}"
    methods = quantization.CalibrationMethod
    quantization.quantize_static(
        model,
        target,
        _reader(material, how.images, model.graph.input[0].name),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=how.per_channel,
        reduce_range=saturates(),
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=_float_nodes(model),
        calibrate_method={
            "minmax": methods.MinMax,
            "entropy": methods.Entropy,
            "percentile": methods.Percentile,
        }[how.method],
        extra_options={"TensorQuantOverrides": overrides(model)} if overrides else {},
    )
    made = onnx.load(target)
    restore_names(made, onnx.load(prepared))
    if finish:
        finish(made)
    block(made, material.shape)
    slim(made)
    onnx.save(made, target)


def _reader(material: StepInput, count: int, name: str) -> Any:
    """Batches of equal size, as the histogram methods need, of images picked at random."""
    from onnxruntime.quantization import CalibrationDataReader

    picked = sample(material.images, count, material.seed).numpy()
    size = len(picked) // -(-len(picked) // BATCH)
    batches = iter([{name: picked[at : at + size]} for at in range(0, len(picked) - size + 1, size)])

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, Any] | None:
            return next(batches, None)

    return Reader()


def _float_nodes(model: Any) -> list[str]:
    """Names of the nodes that stay float: all before the first weights, and convolutions of very few channels."""
    from kdcore.export.graph import weighted

    layers = {layer.node.name: layer.weight for layer in weighted(model)}
    features: set[str] = set()
    kept = []
    for node in model.graph.node:
        if node.name in layers or features & set(node.input):
            features |= set(node.output)
            if node.op_type != "Conv" or _channels(node, layers[node.name]) >= FEW_CHANNELS:
                continue
        kept.append(node.name)
    return kept


def _channels(node: Any, weight: Any) -> int:
    """Input channels of a convolution, over all its groups."""
    return weight.shape[1] * next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def saturates() -> bool:
    """Whether int8 products can overflow: x86 without VNNI adds them in 16 bits."""
    flags = machine.cpu_flags()
    return "avx2" in flags and not flags & machine.VNNI


def report(prepared: Path, made: Path) -> list[dict[str, Any]]:
    """A layer each: bits a weight, and the relative error of its weights, ‖W - Ŵ‖ / ‖W‖."""
    import numpy as np
    import onnx

    from kdcore.export.graph import weighted

    before = {layer.name: layer.weight for layer in weighted(onnx.load(prepared))}
    rows = []
    for layer in weighted(onnx.load(made)):
        whole = before[layer.name]
        error = float(np.linalg.norm(layer.weight - whole) / max(float(np.linalg.norm(whole)), 1e-12))
        rows.append({"name": layer.name, "bits": layer.bits, "weight_error": error})
    return rows
