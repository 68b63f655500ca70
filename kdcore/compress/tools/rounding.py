"""What the steps that round weights after training share: options, which layers get how many bits, the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools import int8_export, quant_grid
from kdcore.compress.tools.masks import check_policy, layers_of
from kdcore.compress.tools.packed_export import packed
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.inputs import EVERY
from kdcore.lazy import torch
from kdcore.registry import Options, by_options

PACKED = (
    "Only the weights have few bits. ONNX Runtime unpacks them to fp32 when it loads the file: the "
    "file is smaller, memory and speed stay the same. With int8 activations it would compute in "
    "int8."
)
INT8 = (
    "It computes in int8, and the file stores 8 bits per weight: this processor has no smaller type."
    " Fewer bits save storage only (zipped)."
)


def _why(options: Any) -> str:
    if options.activations == "float":
        return PACKED
    return INT8 if options.policy or options.bits < 8 else ""


def traits(name: str) -> StepTraits:
    """The traits of a step that rounds weights; `name` begins its row's label."""
    return StepTraits(
        reads=EVERY,
        variant="quantized",
        stage="quantize",
        label=by_options(lambda options: label(name, options)),
        faster=by_options(lambda options: options.activations == "int8"),
        final=True,
        why=by_options(_why),
    )


class Rounding(Options):
    """Options of every step that rounds weights after training."""

    bits: int = Field(4, ge=2, le=8, description="Bits per weight. 2: the three values -1, 0 and 1 times a scale.")
    first_and_last: int = Field(
        8,
        ge=2,
        le=8,
        description="Bits of the first and the last layer, where more than the others. These layers are small and "
        "sensitive.",
    )
    clip: Literal["max", "mse"] = Field(
        "mse",
        description="Range of the grid: up to the largest weight, or the range with the smallest squared error.",
    )
    symmetric: bool = Field(
        True,
        description="As many levels below zero as above: 2 bits are ternary, -1, 0 and 1. Off: one more below zero, "
        "which 8-bit layers never have.",
    )
    per_channel: bool = Field(True, description="One scale per filter. Off: one scale per layer.")
    recalibrate: bool = Field(
        True,
        description="Recalibrate batch norm: at 2 bits, clipping by error without it is worse than no clipping.",
    )
    activations: Literal["float", "int8"] = Field(
        "float",
        description="Keep activations in float, or quantize them to 8 bits too: then all is computed in int8, and a "
        "first convolution of one channel stays float.",
    )
    policy: dict[str, Annotated[int, Field(ge=2, le=8)]] = Field(
        {},
        description="Bits per weight by layer, as proposed by layer sensitivity, instead of bits; other layers stay "
        "in float, or have 8 bits with int8 activations. Empty: none.",
    )


class Layer(NamedTuple):
    """A layer to be rounded: its module, its bits, and the scale of its grid, (F, 1, …)."""

    module: Any
    bits: int
    scale: torch.Tensor
    symmetric: bool = True

    @property
    def ends(self) -> tuple[int, int]:
        return quant_grid.span(self.bits, self.symmetric)


def label(kind: str, options: Any) -> str:
    """What the row is called: weights W, activations A."""
    bits = {1: "1 bit", 2: "ternary" if options.symmetric else "2 bits"}.get(options.bits, f"{options.bits} bits")
    bits = "by layer" if options.policy else bits
    return f"{kind} {bits}{', int8' if options.activations == 'int8' else ''}"


def layers(material: StepInput, options: Any) -> dict[str, Layer]:
    """The layers by name, in order, with their bits and scales. Raises CompressError where there are none, and for a
    policy that names what is no layer."""
    network = material.network
    known = layers_of(network)
    check_policy(options.policy, known)
    ends = quant_grid.ends(network)
    chosen = (
        set(int8_export.layers(network)) if options.activations == "int8" else options.policy.keys() or known.keys()
    )
    found = {}
    for name in filter(chosen.__contains__, known):
        bits = max(options.bits, options.first_and_last) if name in ends else options.bits
        bits = options.policy.get(name, 8) if options.policy else bits
        weight = known[name].weight
        how = {"per_channel": options.per_channel, "clip": options.clip, "symmetric": options.symmetric}
        found[name] = Layer(known[name], bits, quant_grid.scales(weight, bits, **how), options.symmetric)
    if not found:
        raise CompressError("no convolution or linear layer has weights to round")
    return found


def put(layer: Layer, codes: torch.Tensor) -> None:
    """Gives the layer the weights that the codes stand for."""
    with torch.no_grad():
        layer.module.weight.copy_(codes * layer.scale)


def deploy(
    material: StepInput,
    options: Any,
    rounded: Mapping[str, Layer],
    codes: Mapping[str, torch.Tensor],
    whole: Mapping[str, torch.Tensor],
) -> StepResult:
    """The network, its file and its report, once the weights are `codes` times scales; `whole`: what they were."""
    network, target = material.network, material.folder / "rounded.onnx"
    if options.activations == "int8":
        int8_export.write(material, network, codes, target)
        stored = dict.fromkeys(codes, 8)
    else:
        stored = packed(material, network, codes, target)
    report = [
        quant_grid.row(name, layer.bits, whole[name], layer.module.weight.detach(), layer.scale, layer.ends)
        | {"stored_bits": stored[name]}
        for name, layer in rounded.items()
    ]
    return StepResult(network, report, onnx=target)


def recalibrated(material: StepInput, options: Any) -> None:
    """Takes batch norm's statistics again where the options ask for it."""
    if options.recalibrate:
        recalibrate(material.network, material.images, material.seed)
