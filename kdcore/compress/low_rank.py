"""Low rank: a layer becomes two or three smaller ones, whose product is as near to it as their ranks allow."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from kdcore import models
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.factors import factors, kind_of, product, rank, spectra, weights
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.masks import check_policy, layers_of
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.inputs import EVERY
from kdcore.lazy import nn, torch
from kdcore.registry import Options, Searched, by_options, register

UNDONE = {"low_rank": "the layers are already split: use one step with a lower share"}
HALVINGS = 50  # of the interval in which the share of energy for a size is sought


class LowRank(Options):
    """Options of low-rank factorization."""

    added: ClassVar[tuple[str, ...]] = ("policy",)

    convolutions: Literal["spatial", "channel", "tucker"] = Field(
        "spatial",
        description="How convolutions are split: into a column and a row of the kernel (spatial SVD), into fewer "
        "filters and a 1x1 convolution (channel SVD), or into 1x1, a narrower kernel, 1x1 (Tucker-2).",
    )
    by: Literal["ratio", "energy", "size"] = Field(
        "ratio",
        description="What the share refers to: each layer's full rank, the energy (squared singular values) that "
        "each layer keeps, or the weights that the whole network keeps.",
    )
    share: float = Field(0.5, gt=0, lt=1, description="Share that is kept.")
    policy: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        {},
        description="Share of the full rank to keep by layer, as proposed by layer sensitivity, instead of share; "
        "other layers stay whole. Empty: none.",
    )
    finetune: Finetune = Field(Finetune(), description="Training after the split, to recover accuracy.")


class Layer(NamedTuple):
    """A layer that can be split: its module, the kind of split, and its singular values, one spectrum a rank."""

    module: Any
    kind: str
    spectra: list[torch.Tensor]

    def weights(self, ranks: list[int]) -> int:
        """How many weights the split layer has."""
        return weights(self.module.weight.shape, self.kind, ranks)


def _label(options: LowRank) -> str:
    if options.policy:
        return "low rank by layer"
    what = {"ratio": "", "energy": " of energy", "size": " of size"}[options.by]
    return f"low rank {100 * options.share:g} %{what}"


@register(
    "step",
    "low_rank",
    "Split layers by singular value decomposition: smaller and mostly faster",
    source="Jaderberg et al. 2014, arXiv:1405.3866, section 3.2 (spatial); Zhang et al. 2016, arXiv:1505.06798, "
    "section 3.1 (channel); Kim et al. 2016, arXiv:1511.06530, eq. 5 (Tucker-2)",
    options=LowRank,
    traits=StepTraits(
        variant="low_rank",
        stage="low rank",
        label=by_options(_label),
        faster=True,
        undone_by=UNDONE.get,
        search=(Searched("share", 0.15, 0.8, smallest=0.15, by_layer="policy", sensitivity="rank"),),
        reads=EVERY,
        formula=r"W \approx U_r \Sigma_r V_r^{\top}, \quad r\,(m + n) < m\,n",
        helps=(
            "For wide layers whose singular values fall quickly. Small layers cost more in overhead than they save."
        ),
    ),
)
def low_rank(material: StepInput, options: LowRank) -> StepResult:
    """Splits every linear layer and convolution that has fewer weights then; the classifier stays whole.

    The weights are the best of their rank in squared error (Tucker-2: nearly; both spectra are cut by themselves).
    Batch norm's statistics are taken again. Raises CompressError where nothing would be smaller, where the network
    cannot be as small as asked, or where its own code reads a layer's weights.
    """
    from kdcore.models.nets import factored

    network = material.network
    check_policy(options.policy, layers_of(network))
    layers = _layers(network, options.convolutions)
    ranks = _ranks(layers, options, _weights(network))
    report = []
    for name, layer in layers.items():
        whole = layer.module.weight.detach()
        chosen = ranks.get(name, [])
        if not chosen or layer.weights(chosen) >= whole.numel():
            report.append(_row(name, "whole", layer, [], whole, whole))
            continue
        found = factors(whole, layer.kind, chosen)
        parts: Any = factored.split(layer.module, layer.kind, chosen)
        for part, weight in zip(parts, found, strict=True):
            part.weight.data.copy_(weight.view_as(part.weight))
        if layer.module.bias is not None:
            parts[-1].bias.data.copy_(layer.module.bias.detach())
        factored.replace(network, name, parts)
        report.append(_row(name, layer.kind, layer, chosen, whole, product(found, layer.kind)))
    if all(row["kind"] == "whole" for row in report):
        raise CompressError(
            f"no layer would have fewer weights at {_label(options).removeprefix('low rank ')}: choose a lower share"
        )
    try:
        recalibrate(network, material.images, material.seed)
        with torch.no_grad():
            network(material.images[:2])
    except Exception as error:  # the network's own code
        raise CompressError(f"this {type(network).__name__} cannot be split: {error}") from error
    return StepResult(network, report)


def _layers(network: nn.Module, convolutions: str) -> dict[str, Layer]:
    from kdcore.models.nets.factored import splittable

    found = {}
    for name, module in network.named_modules():
        if name and splittable(module) and module is not models.head(network):
            weight: Any = module.weight
            kind = kind_of(weight, convolutions)
            found[name] = Layer(module, kind, spectra(weight.detach(), kind))
    return found


def _weights(network: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in layers_of(network).values())


def _ranks(layers: dict[str, Layer], options: LowRank, everything: int) -> dict[str, list[int]]:
    """The ranks of each layer that is to be split. Raises CompressError for a size that even rank 1 exceeds."""
    if options.policy or options.by == "ratio":
        shares = options.policy or dict.fromkeys(layers, options.share)
        return {
            name: [rank(shares[name], len(one)) for one in layer.spectra]
            for name, layer in layers.items()
            if name in shares
        }
    if options.by == "energy":
        return {name: [for_energy(one, options.share) for one in layer.spectra] for name, layer in layers.items()}
    rest = everything - sum(layer.module.weight.numel() for layer in layers.values())

    def size(energy: float) -> int:
        split = (one.weights([for_energy(s, energy) for s in one.spectra]) for one in layers.values())
        return rest + sum(min(n, one.module.weight.numel()) for n, one in zip(split, layers.values(), strict=True))

    budget = options.share * everything
    if size(0.0) > budget:
        raise CompressError(
            f"the network cannot be {100 * options.share:g} % of its size: "
            f"with every layer at rank 1 it still has {100 * size(0.0) / everything:.0f} % of its weights"
        )
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) <= budget else (low, middle)
    return {name: [for_energy(one, low) for one in layer.spectra] for name, layer in layers.items()}


def for_energy(spectrum: torch.Tensor, share: float) -> int:
    """The smallest rank, at least 1, whose squared singular values are this share of all."""
    kept = spectrum.square().cumsum(0)
    return min(len(spectrum), int((kept < share * kept[-1]).sum()) + 1)


def _row(
    name: str, kind: str, layer: Layer, ranks: list[int], whole: torch.Tensor, made: torch.Tensor
) -> dict[str, Any]:
    """`error`: ‖W - Ŵ‖ / ‖W‖ of the weights."""
    before = whole.numel()
    error = (whole.double() - made.double()).norm() / whole.double().norm().clamp(min=1e-30)
    return {
        "name": name,
        "kind": kind,
        "ranks": ranks,
        "full_ranks": [len(one) for one in layer.spectra],
        "weights_before": before,
        "weights": layer.weights(ranks) if ranks else before,
        "error": float(error),
    }
