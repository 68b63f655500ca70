"""Structured pruning: whole filters leave, and the network becomes a smaller, ordinary one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools import gradients
from kdcore.compress.tools.channels import Rule, Worth, cut, torch_pruning
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.masks import check_policy, keep_zeros, layers_of
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.lazy import nn, torch
from kdcore.registry import Options, Searched, by_options, register

UNFOLLOWED = {
    "shufflenet": "structured pruning cannot follow a channel shuffle, so it cannot prune a ShuffleNet: use "
    "prune_unstructured or int8, or another student",
    "maxvit_t": "structured pruning of maxvit_t needs too much memory: use another step or another student",
}
TRANSFORMERS = (
    "beit",
    "deit",
    "eva",
    "swin",
    "vit",
)  # of timm, whose blocks keep the number of heads as a plain number
HEADS = "structured pruning cannot follow the heads of timm's transformers: use int8 or low_rank, or another student"


class PruneStructured(Options):
    """Options of structured pruning."""

    ratio: float = Field(0.5, gt=0, le=0.95, description="Share of the filters to remove.")
    importance: Literal["l2", "l1", "bn", "fpgm", "lamp", "taylor", "hessian", "random"] = Field(
        "l2",
        description="Which filters are removed first: small ones (L2 or L1 norm; lamp: norm by layer, relative to "
        "the larger ones), those with a small batch-norm scale (bn), those near the geometric median of "
        "the others (fpgm), those whose removal changes the loss least (taylor: weight times gradient; "
        "hessian: its square, by example), or random ones (a control).",
    )
    round_to: int = Field(
        8,
        ge=1,
        le=64,
        description="Round the number of filters to a multiple of this; other numbers can be slower. Processors with"
        " AVX-512 are fastest at multiples of 16.",
    )
    scope: Literal["layer", "global"] = Field(
        "layer", description="Remove the share from each layer, or the least important filters of all layers together."
    )
    rounds: int = Field(
        1,
        ge=1,
        le=20,
        description="Iterations, each removing the same share of what is left, ranked again. To train between them, "
        "use several of these steps.",
    )
    images: int = Field(128, ge=8, le=4096, description="Labelled examples for taylor and hessian (max).")
    policy: dict[str, Annotated[float, Field(ge=0, le=0.95)]] = Field(
        {},
        description="Share of the filters to remove by layer, as proposed by layer sensitivity, instead of ratio and"
        " scope. Layers that share filters use the smallest of their shares; other layers stay unpruned."
        " Empty: none.",
    )
    finetune: Finetune = Field(Finetune(), description="Training after pruning, to recover accuracy.")


def _refuses(architecture: Options, before: Sequence[str]) -> str | None:
    """Why a student of this architecture cannot be pruned, whatever the steps before; None where it can."""
    library = getattr(architecture, "architecture", "")
    name: str = getattr(architecture, "name", library)
    if library == "timm" and name.startswith(TRANSFORMERS):
        return HEADS
    return next((reason for start, reason in UNFOLLOWED.items() if name.startswith(start)), None)


@register(
    "step",
    "prune_structured",
    "Remove whole filters: smaller and faster",
    source="Li et al. 2017, arXiv:1608.08710; groups as in Fang et al. 2023, arXiv:2301.12900 (torch-pruning); "
    "bn: Liu et al. 2017, arXiv:1708.06519; fpgm: He et al. 2019, arXiv:1811.00250; lamp: Lee et al. 2021, "
    "arXiv:2010.07611; taylor: Molchanov et al. 2019, arXiv:1906.10771; hessian: LeCun et al. 1989 (Fisher diagonal)",
    options=PruneStructured,
    traits=StepTraits(
        variant="pruned",
        stage="prune",
        label=by_options(lambda options: "pruned by layer" if options.policy else f"pruned {100 * options.ratio:g} %"),
        faster=True,
        refuses=_refuses,
        search=(
            Searched("ratio", 0.1, 0.85, smallest=0.85, by_layer="policy", sensitivity="filters"),
            Searched("round_to", choices=(2, 8), smallest=2),
            Searched("importance", choices=("l2", "taylor")),
        ),
        looks=by_options(lambda options: options.images if options.importance in ("taylor", "hessian") else 0),
        formula=r"\text{remove the filters } f \text{ with the lowest score, e.g. } s_f = \| W_f \|_2",
        helps=(
            "Where time or memory counts: the network becomes an ordinary smaller one, faster on every machine. "
            "It loses more accuracy per weight than zeros do."
        ),
    ),
)
def prune(material: StepInput, options: PruneStructured) -> StepResult:
    """Removes filters from every layer but the classifier, then takes batch norm's statistics again.

    Attention heads and groups of a convolution stay equally large. Weights that are zero stay so. Raises CompressError
    when torch-pruning cannot follow the network, or would remove nothing.
    """
    network = material.network.requires_grad_(True)
    check_policy(options.policy, layers_of(network))
    before = _shapes(network)
    first: dict[str, int] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(material.seed)
        for number in range(1, options.rounds + 1):
            _round(material, options, number / options.rounds, first)
    after = _shapes(network)
    if after == before:
        raise CompressError(
            f"nothing was removed: with a ratio of {options.ratio:g} and rounding to {options.round_to}, no "
            f"layer loses a filter, or {options.importance!r} cannot rank any layer of this network"
        )
    zeros = any(bool((layer.weight == 0).any()) for layer in layers_of(network).values())
    return StepResult(network, _report(before, after), constrain=keep_zeros(network) if zeros else None)


def _round(material: StepInput, options: PruneStructured, done: float, first: dict[str, int]) -> None:
    """One cut, after which `done` of the shares is removed."""
    network = material.network
    worth = _worth(material, options)
    shares = {name: share * done for name, share in options.policy.items()} or options.ratio * done
    try:
        cut(
            network,
            material.images[:2],
            worth,
            _kept(network),
            Rule(shares, options.scope == "global", options.round_to, first),
        )
        network.zero_grad()
        with torch.no_grad():
            network.eval()(material.images[:2])
    except Exception as error:  # torch-pruning raises whatever its tracing runs into
        name = type(network).__name__
        reason = str(error) or type(error).__name__
        raise CompressError(
            f"torch-pruning cannot prune this {name}: {reason}. Use prune_unstructured or low_rank, or another student"
        ) from error
    recalibrate(network, material.images, material.seed)


def _worth(material: StepInput, options: PruneStructured) -> Worth:
    """The importance, with the gradients that it looks at in place."""
    importance = torch_pruning().importance
    if options.importance == "taylor":
        gradients.mean(material.network, material, options.images)
    elif options.importance == "hessian":
        gradients.squared(material.network, material, options.images)
    made: Worth = {
        "l2": lambda: importance.GroupMagnitudeImportance(p=2),
        "l1": lambda: importance.GroupMagnitudeImportance(p=1),
        "bn": importance.BNScaleImportance,
        "fpgm": importance.FPGMImportance,
        "lamp": importance.LAMPImportance,
        "taylor": importance.GroupTaylorImportance,
        "hessian": importance.GroupHessianImportance,
        "random": importance.RandomImportance,
    }[options.importance]()
    return made


def _kept(network: nn.Module) -> list[nn.Module]:
    """Layers that keep their filters: the classifier, and the projector's last, which feeds a borrowed classifier."""
    from kdcore import models

    projector: Any = getattr(network, "projector", None)
    return [models.head(network), *([projector.conv3] if projector is not None else [])]


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    layers = nn.Conv2d | nn.Linear
    return {name: tuple(m.weight.shape) for name, m in network.named_modules() if isinstance(m, layers)}


def _report(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "before": list(before[name]),
            "after": list(shape),
            "filters_before": before[name][0],
            "filters": shape[0],
            "removed": 1 - shape[0] / before[name][0],
        }
        for name, shape in after.items()
    ]
