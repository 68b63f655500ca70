"""Unstructured pruning: single weights become zero, and stay where they are."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.gradual import Gradual, PruningSchedule
from kdcore.compress.tools.masks import check_masks, check_policy, keep_zeros, layers_of, patterned, picked, zeros
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.tools.scores import chance, input_norms, scores
from kdcore.compress.traits import StepTraits
from kdcore.inputs import EVERY
from kdcore.lazy import nn, torch
from kdcore.registry import Options, Searched, by_options, register

UNDONE = {
    "low_rank": "split layers would lose their zeros: split first, then prune",
    "tie": "tying averages two layers and loses most zeros: tie first, then prune",
}


class PruneUnstructured(Options):
    """Options of unstructured pruning."""

    ratio: float = Field(0.8, gt=0, le=0.99, description="Share of the weights to set to zero.")
    importance: Literal["magnitude", "random", "taylor", "movement", "wanda"] = Field(
        "magnitude",
        description="Which weights are removed first: small ones, random ones (a control), those whose removal "
        "changes the loss least (taylor: weight times gradient), those that training moves towards zero "
        "(movement: gradual only), or small ones with small inputs (wanda: magnitude times the norm of "
        "the input).",
    )
    scope: Literal["global", "layer", "filter"] = Field(
        "global",
        description="Prune the lowest scores of the whole network, where every layer keeps a few (not for movement "
        "and wanda), of each layer (movement's default), or of each filter (wanda's default).",
    )
    pattern: Literal["none", "2:4", "4:8", "1:4"] = Field(
        "none",
        description="N:M: of every M neighbouring input channels, N weights stay; ratio and scope are ignored, and "
        "layers whose channels are not a multiple of M stay unpruned. Faster on NVIDIA GPUs only.",
    )
    schedule: Literal["one_shot", "gradual"] = Field(
        "one_shot", description="Prune at once and then train, or gradually during training, most at the start."
    )
    begin: float = Field(0.0, ge=0, le=0.9, description="Gradual: share of training before the first pruning.")
    end: float = Field(0.75, gt=0, le=1, description="Gradual: share of training after which pruning ends.")
    images: int = Field(256, ge=8, le=4096, description="Training examples for taylor and wanda (max).")
    policy: dict[str, Annotated[float, Field(ge=0, le=0.99)]] = Field(
        {},
        description="Share of zeros by layer, as proposed by layer sensitivity, instead of ratio and scope. Other "
        "layers stay unpruned. Empty: none.",
    )
    finetune: Finetune = Field(Finetune(), description="Training after pruning, to recover accuracy.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        gradual = self.schedule == "gradual"
        if self.importance == "movement" and not gradual:
            raise ValueError(
                "movement is measured during training: set schedule to gradual, or choose taylor, which needs no"
                " training"
            )
        together = self.scope == "global" and not self.policy and self.pattern == "none"
        if together and self.importance in ("movement", "wanda"):
            raise ValueError(
                f"{self.importance} scores are not comparable between layers, and the whole network would lose "
                "its most important layers first: set scope to layer or filter"
            )
        if gradual and not self.finetune.steps:
            raise ValueError("gradual pruning happens during fine-tuning: set finetune.steps, or one_shot")
        if gradual and self.end <= self.begin:
            raise ValueError("the last pruning must come after the first: set end above begin")
        if self.pattern != "none" and (gradual or self.policy):
            raise ValueError("an N:M pattern is pruned at once and the same everywhere: set one_shot, and no policy")
        return self


def _label(options: PruneUnstructured) -> str:
    if options.pattern != "none":
        return f"{options.pattern} zeros"
    return "zeros by layer" if options.policy else f"{100 * options.ratio:g} % zeros"


def _why(options: PruneUnstructured) -> str:
    why = "The runtime multiplies by zeros too, and the file stores them: only a zip of it is smaller."
    gpus = " N:M patterns are used by NVIDIA GPUs from Ampere on, and not by this runtime."
    return why + gpus * (options.pattern != "none")


def _beyond_a_graph(options: PruneUnstructured) -> dict[str, str]:
    """What needs gradients or training, which a file has not."""
    found = {}
    if options.schedule == "gradual":
        found["schedule"] = "gradual pruning needs training, and an ONNX file cannot be trained: set it to one_shot"
    if options.importance in ("taylor", "movement"):
        found["importance"] = f"{options.importance} needs gradients, which an ONNX file has not: choose magnitude"
    return found


@register(
    "step",
    "prune_unstructured",
    "Set the smallest weights to zero: smaller only when zipped, no faster",
    version=2,
    source="Han et al. 2015, arXiv:1506.02626; gradual: Zhu & Gupta 2017, arXiv:1710.01878, eq. 1; "
    "taylor: |weight x gradient|, as in SNIP, Lee et al. 2019, arXiv:1810.02340; movement: Sanh et al. 2020, "
    "arXiv:2005.07683; wanda: Sun et al. 2024, arXiv:2306.11695; N:M: Mishra et al. 2021, arXiv:2104.08378",
    options=PruneUnstructured,
    traits=StepTraits(
        variant="pruned",
        stage="prune",
        label=by_options(_label),
        faster=False,
        undone_by=UNDONE.get,
        graph=_beyond_a_graph,
        looks=by_options(lambda options: options.images if options.importance in ("taylor", "wanda") else 0),
        why=by_options(_why),
        search=(Searched("ratio", 0.3, 0.95, smallest=0.95, by_layer="policy", sensitivity="prune"),),
        coded=True,
        reads=EVERY,
        formula=r"W \leftarrow W \odot [\, |W| > \theta \,]",
        helps=(
            "Where the file is compressed for storage or transport, or before sharing and coding. The deployed "
            "file is as large and as fast as before."
        ),
    ),
)
def prune(material: StepInput, options: PruneUnstructured) -> StepResult:
    """Sets the weights of the lowest scores to zero, the classifier's too, and takes batch norm's statistics again.

    The zeros are in the weights themselves; `constrain` puts them back after each step of the fine-tuning. Weights
    that were zero before stay so. Differs from Sanh et al.: what has become zero does not come back. Raises
    CompressError.
    """
    layers = layers_of(material.network)
    check_policy(options.policy, layers)
    if options.schedule == "gradual":
        return _gradual(material, options)
    found = {
        name: score.masked_fill(layers[name].weight == 0, -torch.inf)
        for name, score in scores(material, options.importance, options.images).items()
    }
    if options.pattern == "none":
        masks = picked(found, options.policy or options.ratio, options.scope)
    else:
        masks = patterned(found, options.pattern)
        if all(mask.all() for mask in masks.values()):
            raise CompressError(f"no layer has a number of input channels that is a multiple of {options.pattern[2:]}")
    check_masks(masks, layers)
    with torch.no_grad():
        for name, layer in layers.items():
            layer.weight.masked_fill_(~masks[name], 0)
    recalibrate(material.network, material.images, material.seed, spread=True)
    return StepResult(material.network, zeros(material.network), constrain=keep_zeros(material.network))


def _gradual(material: StepInput, options: PruneUnstructured) -> StepResult:
    layers = layers_of(material.network)
    fixed = {}
    if options.importance == "random":
        fixed = dict(chance(layers, material.seed))
    elif options.importance == "wanda":
        fixed = dict(input_norms(material, layers, options.images))
    plan = PruningSchedule(
        options.importance,
        options.policy or options.ratio,
        options.scope,
        options.finetune.steps,
        options.begin,
        options.end,
        fixed,
    )
    pruning = Gradual(material.network, plan)

    def finish(network: nn.Module) -> StepResult:
        before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
        pruning.finish()
        if any(not torch.equal(layer.weight, before[name]) for name, layer in layers.items()):
            recalibrate(network, material.images, material.seed)
        return StepResult(network, zeros(network))

    return StepResult(material.network, [], constrain=pruning.constrain, finish=finish)
