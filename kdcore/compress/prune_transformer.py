"""Head and neuron pruning: attention heads and feed-forward neurons leave, and the matrices become smaller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools import units
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.masks import keep_zeros, layers_of
from kdcore.compress.traits import StepTraits
from kdcore.registry import Options, by_options, register


class PruneTransformer(Options):
    """Options of head and neuron pruning."""

    heads: float = Field(0.5, ge=0, le=0.95, description="Share of the attention heads to remove. 0: none.")
    neurons: float = Field(0.5, ge=0, le=0.95, description="Share of the feed-forward neurons to remove. 0: none.")
    importance: Literal["gradient", "l2", "random"] = Field(
        "gradient",
        description="Which heads and neurons are removed first: those whose output matters least to the loss "
        "(gradient: output times its gradient, by labelled example), those of the smallest weights (L2 norm), or "
        "random ones (a control).",
    )
    scope: Literal["global", "layer"] = Field(
        "global",
        description="Remove the least important of all layers together, their scores normalised by layer, or the share "
        "from each layer. One head and some neurons of each layer stay.",
    )
    round_to: int = Field(8, ge=1, le=64, description="Round the number of neurons of a layer to a multiple of this.")
    examples: int = Field(512, ge=8, le=4096, description="Labelled examples for the gradient (max).")
    finetune: Finetune = Field(Finetune(learning_rate=1e-4), description="Training after pruning, to recover accuracy.")

    @model_validator(mode="after")
    def _something(self) -> PruneTransformer:
        if not self.heads and not self.neurons:
            raise ValueError("removes nothing: set heads or neurons above 0")
        return self


def _label(options: PruneTransformer) -> str:
    shares = {"heads": options.heads, "neurons": options.neurons}
    return "without " + " and ".join(f"{100 * share:g} % of the {name}" for name, share in shares.items() if share)


def _refuses(architecture: Options, before: Sequence[str]) -> str | None:
    if "low_rank" in before:
        return "low_rank has split the layers that hold heads and neurons: remove heads and neurons first"
    return None


@register(
    "step",
    "prune_transformer",
    "Remove attention heads and feed-forward neurons: smaller and faster",
    source="heads: Michel et al. 2019, arXiv:1905.10650, equation 2, normalised by layer as in their section 2.2; "
    "neurons: Molchanov et al. 2017, arXiv:1611.06440, equation 8",
    options=PruneTransformer,
    traits=StepTraits(
        variant="pruned",
        stage="prune heads and neurons",
        label=by_options(_label),
        faster=True,
        refuses=_refuses,
        reads=("text", "passages"),
        looks=by_options(lambda options: options.examples if options.importance == "gradient" else 0),
        formula=r"I_h = \mathbb{E}_x \left| A_h(x)^\top \frac{\partial \mathcal{L}(x)}{\partial A_h(x)} \right|",
        helps="For text networks of many heads: narrower layers, faster on every machine, without a student to train.",
    ),
)
def prune_transformer(material: StepInput, options: PruneTransformer) -> StepResult:
    """Removes the heads and the neurons of the lowest importance; the width of the hidden states stays.

    A head leaves with its rows of query, key and value and its columns of the output layer, a neuron with its row of
    the first feed-forward layer and its column of the second. Weights that are zero stay so. Raises CompressError where
    the network has no such layers, nothing would be removed, or the gradient is asked for and no example has a label.
    """
    network = material.network.requires_grad_(True)
    found = units.of(network)
    if not found:
        raise CompressError(f"this {type(network).__name__} has no attention heads: the step is for transformers")
    scores = units.scores(found, material, options.importance, options.examples)
    shares = {"heads": options.heads, "neurons": options.neurons}
    report = []
    for kind, share in shares.items():
        chosen = {name: unit for name, unit in found.items() if unit.kind == kind}
        unit_of = 1 if kind == "heads" else options.round_to
        left = units.left({name: scores[name] for name in chosen}, share, options.scope == "global", unit_of)
        report += [unit.keep(name, left[name]) for name, unit in chosen.items()]
    if all(row["before"] == row["after"] for row in report):
        raise CompressError(f"nothing was removed at heads {options.heads:g}, neurons {options.neurons:g}: raise them")
    zeros = any(bool((layer.weight == 0).any()) for layer in layers_of(network).values())
    return StepResult(network, report, constrain=keep_zeros(network) if zeros else None)
