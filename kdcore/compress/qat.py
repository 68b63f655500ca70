"""Quantization-aware training: the network learns on its grid, and the grid's steps are learnt too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from kdcore.compress import int8
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools import int8_export, quant_grid
from kdcore.compress.tools.divergence import Divergence
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.images import listen, sample
from kdcore.compress.tools.masks import check_policy, keep_zeros, layers_of
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.inputs import EVERY
from kdcore.lazy import nn, torch
from kdcore.registry import Options, by_options, register

IMAGES = 256  # that the first steps of the activations are found on
SAMPLE = 2**16  # values of an activation that are looked at for it


class Trained(Options):
    """Options of every step that trains a network on its grid."""

    weight_bits: int = Field(8, ge=2, le=8, description="Bits per weight.")
    activation_bits: int = Field(8, ge=4, le=8, description="Bits of each layer's input activations.")
    first_and_last: int = Field(
        8,
        ge=2,
        le=8,
        description="Bits of the network's first and last layer, weights and inputs, where more than the others (the"
        " paper: 8). A first convolution of one channel stays float.",
    )
    finetune: Finetune = Field(
        Finetune(steps=200, learning_rate=0.002),
        description="Training with the teacher, or on labels alone. 0 steps: only the initial step sizes.",
    )


class Qat(Trained):
    """Options of quantization-aware training."""

    policy: dict[str, Annotated[int, Field(ge=2, le=8)]] = Field(
        {},
        description="Bits per weight by layer, as proposed by layer sensitivity, instead of weight_bits; other "
        "layers have 8. Empty: none.",
    )


def _why(options: Qat) -> str:
    few = [
        "fewer bits per weight save storage only (zipped)" if options.policy or options.weight_bits < 8 else "",
        "fewer bits per activation cost a little time" if options.activation_bits < 8 else "",
    ]
    said = ", and ".join(filter(None, few))
    return f"It computes in int8, the smallest type of this processor: {said}." if said else ""


def _label(options: Qat) -> str:
    weights = "by layer, " if options.policy else f"W{options.weight_bits}"
    return f"QAT {weights}A{options.activation_bits}"


@register(
    "step",
    "qat",
    "Quantization-aware training with learned step sizes: int8 with little loss, down to 2-bit weights",
    source="LSQ: Esser et al. 2020, arXiv:1902.08153, eq. 1 to 5; their logarithms: Jain et al. 2020, "
    "arXiv:1903.08066; first steps of least error as in LSQ+: Bhalgat et al. 2020, arXiv:2004.09576",
    version=3,
    options=Qat,
    traits=StepTraits(
        variant="quantized",
        stage="quantize",
        label=by_options(_label),
        faster=True,
        final=True,
        why=by_options(_why),
        search=(),
        reads=EVERY,
        formula=r"\hat x = s \cdot \mathrm{clip}(\lfloor x / s \rceil, -Q_N, Q_P), \quad s \text{ is learned}",
        helps="For few bits, or where int8 after training loses too much. It needs training examples and time.",
    ),
)
def quantize(material: StepInput, options: Qat) -> StepResult:
    """A network to be trained on its grid, and what makes the int8 file of it afterwards.

    The layers are those that the int8 step quantizes. Layers that read the same activation share its step. Weights
    that are zero stay zero. Batch norms stay as they are, and train on: with a step a filter, what they multiply a
    filter by changes its step in the file and none of its codes. Raises CompressError.
    """
    check_policy(options.policy, layers_of(material.network))
    return on_grid(material, options, options.policy)


def on_grid(material: StepInput, options: Trained, policy: Mapping[str, int] = {}, other: str = "") -> StepResult:
    """The network with its layers on their first grids, to be trained and finished.

    `policy`: bits a weight by layer. `other`: what else than a lower learning rate would keep it from diverging, for
    the message. Raises CompressError, and so does `finish` where the training diverged.
    """
    from kdcore.compress.nets import lsq

    network = material.network.requires_grad_(True)
    bits = _bits_of(network, options, policy)
    tensors = _tensors(network, material, list(bits))
    if not tensors:
        raise CompressError("no layer can be trained in int8: convolutions of one channel stay float")
    divergence = Divergence(material)
    ends = {name: lsq.weight_ends(bits[name][0], 64 if int8.saturates() else 127) for name in tensors}
    zeros = any(bool((layer.weight == 0).any()) for layer in layers_of(network).values())
    samples = _settle(material, network, ends)
    whole = {name: _weight(network, name).detach().clone() for name in tensors}
    shared: dict[int, Any] = {}
    for name, tensor in tensors.items():
        if tensor not in shared:
            signed = bool((samples[name] < 0).any())
            span = lsq.input_ends(bits[name][1], signed)
            shared[tensor] = lsq.Quantizer(_first_step(samples[name], *span), *span)
        lsq.attach(network.get_submodule(name), ends[name], shared[tensor])
    before = divergence.knows(network)

    def finish(trained: nn.Module) -> StepResult:
        if rate := options.finetune.steps and options.finetune.learning_rate:
            divergence.check(trained, before, f"lower finetune.learning_rate (now {rate:g}){other}")
        return _finish(material, trained, whole)

    return StepResult(network, [], constrain=keep_zeros(network) if zeros else None, finish=finish)


def _bits_of(network: nn.Module, options: Trained, policy: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Bits of weights and input by layer."""
    from kdcore.compress.nets import lsq

    names = [name for name in int8_export.layers(network) if type(network.get_submodule(name)) in lsq.CLASSES]
    few, more = (options.weight_bits, options.activation_bits), options.first_and_last
    ends = quant_grid.ends(network)
    found = {name: (max(few[0], more), max(few[1], more)) if name in ends else few for name in names}
    return {name: (policy.get(name, 8) if policy else weight, given) for name, (weight, given) in found.items()}


def _tensors(network: nn.Module, material: StepInput, names: list[str]) -> dict[str, int]:
    """For each layer a number, equal where layers have the same input tensor.

    Layers that are never called (an attention reads the weights of its own) are left out.
    """
    held: list[torch.Tensor] = []  # so that no other tensor gets the same identity
    found: dict[str, int] = {}

    def hear(name: str, values: torch.Tensor, output: torch.Tensor) -> None:
        held.append(values)
        found[name] = id(values)

    listen(network.eval(), names, [material.images[:2]], hear)
    return {name: found[name] for name in names if name in found}


def _settle(material: StepInput, network: nn.Module, ends: Mapping[str, tuple[int, int]]) -> dict[str, torch.Tensor]:
    """Takes batch norm's statistics again, in place, with the weights on their first grid; samples of the layers'
    inputs (n,) with both. The weights themselves are then as they were."""
    from kdcore.compress.nets import lsq

    generator = torch.Generator().manual_seed(material.seed)
    images = sample(material.images, IMAGES, generator)
    parts = images.split(64)
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in ends}

    def hear(name: str, values: torch.Tensor, output: torch.Tensor) -> None:
        flat, most = values.flatten(), SAMPLE // len(parts)
        places = torch.randint(len(flat), (most,), generator=generator) if len(flat) > most else slice(None)
        seen[name].append(flat[places].clone())

    whole = {name: _weight(network, name).detach().clone() for name in ends}
    with torch.no_grad():
        for name, span in ends.items():
            weight = _weight(network, name)
            weight.copy_(lsq.quantize(weight, lsq.first_steps(weight, *span), *span))
        recalibrate(network, material.images, material.seed)
        listen(network.eval(), ends, parts, hear)
        for name, weight in whole.items():
            _weight(network, name).copy_(weight)
    return {name: torch.cat(values) for name, values in seen.items()}


def _first_step(sample: torch.Tensor, lowest: int, largest: int) -> torch.Tensor:
    found = quant_grid.least_error(sample[None], lowest, largest)[0]
    return found if found > 0 else torch.ones(())


def _finish(material: StepInput, network: nn.Module, whole: Mapping[str, torch.Tensor]) -> StepResult:
    """Turns the trained network into an ordinary one with weights on their grid, and writes its int8 file."""
    from kdcore.compress.nets import lsq

    codes, inputs, report = {}, {}, []
    for name, layer in list(lsq.quantized(network)):
        scale, step = layer.weights.step().detach(), layer.inputs
        bits = (step.largest - step.lowest).bit_length()
        inputs[name] = int8_export.Step(float(step.step().detach()), -step.lowest, bits)
        trained = layer.weight.detach().clone()
        weight_bits = _bits(layer.weights)
        ends = layer.weights.lowest, layer.weights.largest
        codes[name] = lsq.detach(layer)
        row = quant_grid.row(
            name, weight_bits, trained, _weight(network, name).detach(), lsq.along(scale, trained), ends
        )
        moved = float((trained - whole[name]).norm() / whole[name].norm().clamp(min=1e-12))
        learnt = {"input_bits": bits, "input_step": inputs[name].scale, "moved": moved}
        report.append(row | learnt | {"stored_bits": 8})
    target = material.folder / "qat.onnx"
    int8_export.write(material, network, codes, target, inputs=inputs)
    return StepResult(network, report, onnx=target)


def _bits(quantizer: Any) -> int:
    """Of a grid of 2^b levels, or of the one level fewer that 8 bits have."""
    return 8 if quantizer.lowest == -quantizer.largest else (quantizer.largest - quantizer.lowest).bit_length()


def _weight(network: nn.Module, name: str) -> torch.Tensor:
    return network.get_submodule(name).weight  # type: ignore[return-value]
