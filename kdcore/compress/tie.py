"""Tied layers: layers of one shape have one and the same weight, which files hold once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from kdcore import models
from kdcore.compress.step import CompressError, StepInput, StepResult
from kdcore.compress.tools import norms
from kdcore.compress.tools.files import merge
from kdcore.compress.tools.finetune import Finetune
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.lazy import nn, torch
from kdcore.registry import Options, by_options, register

VERIFIED_IMAGES = 64
TOLERANCE = 1e-4
NORMED = ("cnn", "resnet", "vgg", "mobilenetv2", "shufflenetv1", "shufflenetv2")  # a batch norm after every layer
FOLDED = "batch norm after a layer is folded into its weights, so they differ again"
REMEDY = "use share or low_rank, or a student without batch norm such as mlp or vit"
APART = "it learns a separate rounding for each tied layer: use int8 or weight_quant"
UNDONE = {
    "tie": "the layers are already tied; to tie more, set group to all",
    "low_rank": "each tied layer would be split separately: split first, then tie the halves",
    "adaround": APART,
    "qat": APART,
    "joint": APART,
}


class Tie(Options):
    """Options of tied layers."""

    group: Literal["pairs", "all"] = Field(
        "pairs", description="Tie each layer to the next of its shape, two by two, or all layers of a shape."
    )
    finetune: Finetune = Field(
        Finetune(), description="Training of the tied layers. Without it they lose most of what each had learned."
    )


def _refuses(architecture: Options, before: Sequence[str]) -> str | None:
    """Why layers of a student of this architecture cannot be tied; None where they may, as the halves of split ones."""
    name = getattr(architecture, "architecture", "")
    if name not in NORMED or "low_rank" in before:
        return None
    return f"the layers of {name} cannot be stored once, because {FOLDED}: {REMEDY}"


@register(
    "step",
    "tie",
    "Layers of one shape share one weight: stored once, no faster",
    source="Savarese and Maire 2019, arXiv:1902.09701, section 3.1 (sharing between layers); Lan et al. 2020, "
    "arXiv:1909.11942, section 3.1 (across a transformer's blocks)",
    options=Tie,
    traits=StepTraits(
        variant="shared",
        stage="tie",
        label=by_options(lambda options: "tied in pairs" if options.group == "pairs" else "tied"),
        faster=False,
        refuses=_refuses,
        undone_by=UNDONE.get,
        why="The file stores the shared weights once and is smaller by them; every layer runs at the same "
        "speed. Layers that learned different things lose much accuracy.",
        formula=r"W_1 = W_2 = \dots = \tfrac{1}{n} \sum_i W_i",
        helps="For deep networks of equal blocks, such as transformers. It saves bytes, not time.",
    ),
)
def tie(material: StepInput, options: Tie) -> StepResult:
    """Gives layers of one shape the mean of their weights, the nearest in squared error; each keeps its bias.

    Only layers that the ONNX file can hold once: a batch norm after a layer is folded into its weights, one by one,
    and would part them again. The classifier is left alone. Raises CompressError where no two layers can be tied.
    """
    from kdcore.models.nets import tied

    network = material.network
    report: list[dict[str, Any]] = []
    for names in _groups(network, options.group):
        layers: list[Any] = [network.get_submodule(name) for name in names]
        whole = [layer.weight.detach().clone() for layer in layers]
        mean = torch.stack(whole).mean(0)
        tied.tie(network, names)
        layers[0].weight.data.copy_(mean)
        report += [_row(name, names[0], weight, mean) for name, weight in zip(names, whole, strict=True)]
    recalibrate(network, material.images, material.seed)

    def finish(trained: nn.Module) -> StepResult:
        return StepResult(trained, report, onnx=_export(material, trained))

    return StepResult(network, report, finish=finish)


def _row(name: str, first: str, weight: torch.Tensor, mean: torch.Tensor) -> dict[str, Any]:
    """`weight_error`: ‖W - Ŵ‖ / ‖W‖ before fine-tuning. `saved_bytes`: what a file need not hold."""
    return {
        "name": name,
        "tied_to": first,
        "weights": weight.numel(),
        "weight_error": float((weight - mean).norm() / weight.norm().clamp(min=1e-30)),
        "saved_bytes": 0 if name == first else 4 * weight.numel(),
    }


def _groups(network: nn.Module, group: str) -> list[list[str]]:
    """Names of the layers to be tied. Raises CompressError where there are none."""
    followed = norms.followers(network)
    alike: dict[Any, list[str]] = {}
    seen: set[int] = set()
    for name, module in network.named_modules():
        layer: Any = module
        plain = type(module) in (nn.Linear, nn.Conv2d) and module is not models.head(network)
        if not plain or name in followed or id(layer.weight) in seen:
            continue
        seen.add(id(layer.weight))
        alike.setdefault((type(layer), layer.weight.shape), []).append(name)
    size = 2 if group == "pairs" else None
    found = [
        names[start : start + (size or len(names))]
        for names in alike.values()
        for start in range(0, len(names), size or len(names))
    ]
    found = [names for names in found if len(names) > 1]
    if not found:
        reason = f" that no batch norm follows ({FOLDED})" if followed else ""
        once = "so they cannot be stored once"
        raise CompressError(f"no two layers have one shape{reason}, {once}: {REMEDY}")
    return found


def _export(material: StepInput, network: nn.Module) -> Path:
    """The network's file with equal constants held once. Raises CompressError."""
    import numpy as np
    import onnx

    from kdcore.export import onnx_file, runtime

    images = material.images[:VERIFIED_IMAGES].numpy()
    path = material.folder / "tied.onnx"
    try:
        onnx_file.export(network, material.shape, path, images=images)
    except onnx_file.ExportError as error:
        raise CompressError(str(error)) from error
    model = onnx.load(path)
    before = runtime.logits(path, images)
    merge(model)
    path.write_bytes(model.SerializeToString())
    if np.abs(runtime.logits(path, images) - before).max() > TOLERANCE * max(1.0, np.abs(before).max()):
        raise CompressError("the file with the tied weights differs from the network")
    return path
