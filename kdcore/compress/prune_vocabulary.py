"""Vocabulary pruning: the embedding keeps the tokens that the training texts use."""

from __future__ import annotations

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.traits import StepTraits
from kdcore.lazy import torch
from kdcore.registry import Options, by_options, register

PADDING = 0


class PruneVocabulary(Options):
    """Options of vocabulary pruning."""

    least: int = Field(
        1, ge=1, le=1000, description="Keep tokens that occur at least this often in the student's training texts."
    )


@register(
    "step",
    "prune_vocabulary",
    "Keep the embedding of the tokens that the training texts use: smaller, no faster",
    source="the usual practice for multilingual models: Abdaoui et al. 2020, arXiv:2010.05609, section 2",
    options=PruneVocabulary,
    traits=StepTraits(
        variant="pruned",
        stage="prune vocabulary",
        label=by_options(lambda options: "vocabulary" + (f", {options.least} times" if options.least > 1 else "")),
        faster=False,
        why="Fewer rows are stored; looking one up takes as long. Other words become the unknown token.",
        reads=("text",),
        undone_by={"prune_vocabulary": "the vocabulary is already pruned: use one step, with a higher least"}.get,
        formula=r"\hat E = E_{\{t \,:\, n_t \ge m\}}, \quad t \mapsto \text{unknown where } n_t < m",
        helps="For published language models, whose embedding of 30,000 tokens is half of a small model's bytes.",
    ),
)
def prune_vocabulary(material: StepInput, options: PruneVocabulary) -> StepResult:
    """Drops the rows of tokens that the student's training texts use less than `least` times.

    The tokenizer stays as it is: a table in the exported graph (4 bytes an id) leads every id to its row, and those
    without one to the row of the unknown token. Raises CompressError where every token is used.
    """
    from kdcore.models.nets import vocabulary

    found = vocabulary.embedding(material.network)
    if found is None or material.unknown is None:
        raise CompressError(f"this {type(material.network).__name__} embeds no tokens: the step is for texts")
    name, whole = found
    offered, width = whole.weight.shape
    counts = torch.bincount(material.images.flatten(), minlength=offered)
    used = counts >= options.least
    used[[PADDING, material.unknown]] = True
    if used.all():
        raise CompressError(f"all {offered:,} tokens occur in the training texts: nothing can be dropped")
    kept = used.nonzero().flatten()
    vocabulary.keep(material.network, kept, material.unknown)
    row = {"name": name, "kind": "vocabulary", "tokens_before": offered, "tokens": len(kept),
           "weights_before": offered * width, "weights": len(kept) * width}  # fmt: skip
    return StepResult(material.network, [row])
