"""Embedding factorization: the table of the tokens as the product of two smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.traits import StepTraits
from kdcore.lazy import torch
from kdcore.registry import Options, by_options, register


class FactorEmbedding(Options):
    """Options of embedding factorization."""

    share: float = Field(0.25, gt=0, lt=1, description="Rank of the product, as a share of full rank.")
    finetune: Finetune = Field(Finetune(learning_rate=1e-4), description="Training afterwards, to recover accuracy.")


def _refuses(architecture: Options, before: Sequence[str]) -> str | None:
    if "factor_embedding" in before:
        return "the embedding is already in two factors: use one step with a lower share"
    return None


@register(
    "step",
    "factor_embedding",
    "Keep the embedding as the product of two smaller tables: smaller, no faster",
    source="Lan et al. 2020 (ALBERT), arXiv:1909.11942, section 3.1; by SVD of the trained table as in Acharya et al. "
    "2019, arXiv:1811.00641, section 3",
    options=FactorEmbedding,
    traits=StepTraits(
        variant="low_rank",
        stage="factor embedding",
        label=by_options(lambda options: f"embedding, rank {100 * options.share:g} %"),
        faster=False,
        why="It stores fewer values per token; the linear layer that restores the width takes time.",
        refuses=_refuses,
        reads=("text",),
        formula=r"E \approx A B, \quad A \in \mathbb{R}^{V \times r},\ B \in \mathbb{R}^{r \times d}",
        helps="For published language models, together with vocabulary pruning: their embedding is most of the bytes.",
    ),
)
def factor_embedding(material: StepInput, options: FactorEmbedding) -> StepResult:
    """Replaces the embedding of the tokens by its best approximation of this rank in squared error.

    Raises CompressError where the two factors would have no fewer weights than the table.
    """
    from kdcore.models.nets import vocabulary

    found = vocabulary.embedding(material.network)
    if found is None:
        raise CompressError(f"this {type(material.network).__name__} embeds no tokens: the step is for texts")
    name, module = found
    whole = module.weight.detach()
    tokens, width = whole.shape
    rank = max(1, round(options.share * min(tokens, width)))
    if rank * (tokens + width) >= tokens * width:
        raise CompressError(
            f"two factors of rank {rank} have no fewer weights than the embedding of {tokens:,} tokens and {width} "
            "values: choose a lower share"
        )
    left, values, right = torch.linalg.svd(whole.double(), full_matrices=False)
    root = values[:rank].sqrt()
    basis, mix = left[:, :rank] * root, (root[:, None] * right[:rank]).T
    parts: Any = vocabulary.factor(material.network, rank).to(whole.dtype).eval()
    parts.basis.weight.data.copy_(basis)
    parts.mix.weight.data.copy_(mix)
    error = (whole.double() - basis @ mix.T).norm() / whole.double().norm().clamp(min=1e-30)
    row = {"name": name, "kind": "embedding", "ranks": [rank], "full_ranks": [len(values)],
           "weights_before": whole.numel(), "weights": rank * (tokens + width), "error": float(error)}  # fmt: skip
    return StepResult(material.network, [row])
