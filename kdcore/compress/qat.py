"""Quantization-aware training: the network learns on its grid, and the grid's steps are learnt too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from kdcore.compress import grid, int8, integer
from kdcore.compress.finetune import Finetune
from kdcore.compress.material import CompressError, Material, Outcome
from kdcore.compress.norms import followers
from kdcore.lazy import nn, torch
from kdcore.registry import Options, register

IMAGES = 256  # that the first steps of the activations are found on
SAMPLE = 2**16  # values of an activation that are looked at for it


class Qat(Options):
    """Options of quantization-aware training."""

    weight_bits: int = Field(8, ge=2, le=8, description="Bits a weight.")
    activation_bits: int = Field(8, ge=4, le=8, description="Bits of what goes into each layer.")
    first_and_last: int = Field(
        8,
        ge=2,
        le=8,
        description="Bits of the network's first and last layer, weights and inputs, where these are more (the "
        "paper's: 8). A first convolution of fewer than four channels stays float.",
    )
    finetune: Finetune = Field(
        Finetune(steps=200, learning_rate=0.002),
        description="The training: with the teacher, or on labels alone. 0 steps: the first steps alone.",
    )


@register(
    "step",
    "qat",
    "Training on the grid, whose steps are learnt: int8 that knows what it loses, down to 2-bit weights",
    source="LSQ: Esser et al. 2020, arXiv:1902.08153, eq. 1 to 5; first steps of least error as in LSQ+: "
    "Bhalgat et al. 2020, arXiv:2004.09576; batch norm folded first: Jacob et al. 2018, arXiv:1712.05877",
    options=Qat,
    traits={
        "variant": "quantized",
        "stage": "quantize",
        "label": lambda options: f"QAT W{options.weight_bits}A{options.activation_bits}",
        "faster": True,
        "final": True,
        "why": "It computes in int8, whatever bits it was trained for: the processor has no smaller numbers. Fewer "
        "bits a weight save storage only (zipped or coded), and fewer bits an activation cost a little time.",
    },
)
def quantize(material: Material, options: Qat) -> Outcome:
    """A network to be trained on its grid, and what makes the int8 file of it afterwards.

    The layers are those that the int8 step quantizes. Batch norms are folded into the weights before them. Layers
    that read the same activation share its step. Weights that are zero stay zero. Raises CompressError.
    """
    from kdcore.compress.nets import lsq

    network = material.network.requires_grad_(True)
    pairs = followers(network)
    norms = {place: copy.deepcopy(network.get_submodule(place)) for place in pairs.values()}
    lsq.fold(network, pairs)
    names = [name for name in integer.layers(network) if type(network.get_submodule(name)) in lsq.CLASSES]
    given = activations(network, material, names)
    if not given:
        raise CompressError("there is no layer to train in int8: convolutions of fewer than four channels stay float")
    whole = {name: _weight(network, name).detach().clone() for name in given}
    zeros = {name: weight == 0 for name, weight in whole.items() if (weight == 0).any()}
    narrow = 64 if int8.saturates() else 127
    ends, shared = grid.ends(network), dict[int, Any]()
    for name, (tensor, sample) in given.items():
        asked = options.weight_bits, options.activation_bits
        bits = [max(few, options.first_and_last) if name in ends else few for few in asked]
        signed = bool((sample < 0).any())
        if tensor not in shared:
            shared[tensor] = lsq.Quantizer(_first_step(sample, signed, bits[1]), *lsq.input_ends(bits[1], signed))
        lsq.attach(network.get_submodule(name), bits[0], narrow, shared[tensor])
    return Outcome(network, [], constrain=_constrain(network, zeros), finish=_finish(material, norms, whole))


def activations(network: nn.Module, material: Material, names: list[str]) -> dict[str, tuple[int, torch.Tensor]]:
    """For each layer a number that tells whose input is the very same tensor, and a sample of the input's values.

    Layers that are never called (an attention reads the weights of its own) are left out.
    """
    generator = torch.Generator().manual_seed(material.seed)
    images = material.images[torch.randperm(len(material.images), generator=generator)[:IMAGES]]
    held: list[torch.Tensor] = []  # so that no other tensor gets the same identity
    found: dict[str, tuple[int, torch.Tensor]] = {}

    def watch(name: str) -> Callable[[Any, Any], None]:
        def hook(module: Any, inputs: Any) -> None:
            values = inputs[0]
            flat = values.flatten()
            places = torch.randint(len(flat), (SAMPLE,), generator=generator) if len(flat) > SAMPLE else slice(None)
            held.append(values)
            found[name] = (id(values), flat[places].clone())

        return hook

    handles = [network.get_submodule(name).register_forward_pre_hook(watch(name)) for name in names]
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _first_step(sample: torch.Tensor, signed: bool, bits: int) -> torch.Tensor:
    from kdcore.compress.nets import lsq

    found = grid.least_error(sample[None], *lsq.input_ends(bits, signed))[0]
    return found if found > 0 else torch.ones(())


def _constrain(network: nn.Module, zeros: Mapping[str, torch.Tensor]) -> Callable[[], None]:
    """After every optimizer step: no step may vanish or turn negative, and pruned weights stay zero."""
    from kdcore.compress.nets import lsq

    quantizers = [module for module in network.modules() if isinstance(module, lsq.Quantizer)]
    masks = {name: ~zero for name, zero in zeros.items()}

    def constrain() -> None:
        with torch.no_grad():
            for quantizer in quantizers:
                quantizer.ratio.clamp_(min=lsq.SMALLEST)
            for name, mask in masks.items():
                weight = _weight(network, name)
                masks[name] = mask.to(weight.device)
                weight.mul_(masks[name])

    return constrain


def _finish(
    material: Material, norms: Mapping[str, nn.Module], whole: Mapping[str, torch.Tensor]
) -> Callable[[nn.Module], Outcome]:
    """What turns the trained network into an ordinary one with weights on their grid, and writes its int8 file."""
    from kdcore.compress.nets import lsq

    def finish(network: nn.Module) -> Outcome:
        codes, inputs, report = {}, {}, []
        for name, layer in list(lsq.quantized(network)):
            scale, step = layer.weights.step().detach(), layer.inputs
            bits = (step.largest - step.lowest).bit_length()
            inputs[name] = integer.Step(float(step.step().detach()), -step.lowest, bits)
            trained = layer.weight.detach().clone()
            weight_bits = _bits(layer.weights)
            codes[name] = lsq.detach(layer)
            row = grid.row(name, weight_bits, trained, _weight(network, name).detach(), lsq._along(scale, trained))
            moved = float((trained - whole[name]).norm() / whole[name].norm().clamp(min=1e-12))
            learnt = {"input_bits": bits, "input_step": inputs[name].scale, "moved": moved}
            report.append(row | learnt | {"stored_bits": 8})
        lsq.unfold(network, norms)
        target = material.folder / "qat.onnx"
        integer.write(material, network, codes, target, inputs=inputs)
        return Outcome(network, report, onnx=target)

    return finish


def _bits(quantizer: Any) -> int:
    """Of a grid of 2^b levels, or of the one level fewer that 8 bits have."""
    return 8 if quantizer.lowest == -quantizer.largest else (quantizer.largest - quantizer.lowest).bit_length()


def _weight(network: nn.Module, name: str) -> torch.Tensor:
    return network.get_submodule(name).weight  # type: ignore[return-value]
