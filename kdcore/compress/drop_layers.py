"""Layer dropping: a transformer keeps some of its layers, evenly spaced, and is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.traits import StepTraits
from kdcore.registry import Options, by_options, register


class DropLayers(Options):
    """Options of layer dropping."""

    keep: int = Field(3, ge=1, le=23, description="Layers that are kept, evenly spaced from the first one on.")
    finetune: Finetune = Field(
        Finetune(learning_rate=1e-4), description="Training of the layers that are left, to recover accuracy."
    )


def _refuses(architecture: Options, before: Sequence[str]) -> str | None:
    name = getattr(architecture, "architecture", "")
    if name == "bert":
        return None
    return f"only a bert's layers can be dropped, not those of {name}: choose a shallower student"


@register(
    "step",
    "drop_layers",
    "Keep some of a BERT's layers, evenly spaced: smaller and faster in proportion to the layers removed",
    source="Sajjad et al. 2023, arXiv:2004.03844, section 3 (alternate dropping), with the first layer kept as in "
    "DistilBERT, Sanh et al. 2019, arXiv:1910.01108",
    options=DropLayers,
    traits=StepTraits(
        variant="pruned",
        stage="drop layers",
        label=by_options(lambda options: f"{options.keep} layers"),
        faster=True,
        refuses=_refuses,
        reads=("text",),
        formula=r"h = f_{i_k} \circ \dots \circ f_{i_1}(x), \quad i_j = \lfloor (j - 1)\,n / k \rfloor",
        helps="For deep language models where no student is trained: the quickest way to half of the time.",
    ),
)
def drop_layers(material: StepInput, options: DropLayers) -> StepResult:
    """Drops all but `keep` layers, which then follow each other. Raises CompressError where there are no more."""
    from kdcore.models.nets import bert

    kept = bert.drop(material.network, options.keep)
    if kept is None:
        raise CompressError(f"this {type(material.network).__name__} has no more than {options.keep} layers to keep")
    rows = [{"name": f"stage1.{place}", "kind": f"was layer {layer}"} for place, layer in enumerate(kept)]
    return StepResult(material.network, rows)
