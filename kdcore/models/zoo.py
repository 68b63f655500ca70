"""Networks by name, as a document, and back from a document and tensors.

Every network is made of children in the order of the computation: `normalize` first, then `stem`,
`stage1`, `stage2` and so on, and `head`, the classifier, last. The taps and the head are found by these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from kdcore import inputs, registry
from kdcore.lazy import nn, torch
from kdcore.models import names, resize
from kdcore.registry import Options

SCHEMA = 1
UNFETCHED = {"pretrained": False, "weights": ""}  # options that ask for published weights, without them
BEFORE_ACTIVATION = " before activation"  # after a tap's name: its features before the ReLU at their end


def create(
    architecture: Options,
    classes: int,
    shape: inputs.Shape,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    fetch: bool = True,
) -> nn.Module:
    """A fresh network, in training mode, for images float32 (B, C, H, W) in [0, 1]; it gives logits (B, classes).

    `shape`: (C, H, W), or of another kind of input. `mean`, `std`: of the pixels, one a channel; the network normalises
    its input itself. Empty where the kind has nothing to normalise.
    The weights are drawn from torch's global generator, or, where the options ask for published ones, fetched;
    without `fetch` they never are, which is enough for counting. Raises ValueError, PublishedWeightsError.

        >>> network = create(registry.validate("architecture", "cnn"), 10, (1, 8, 8), [0.3], [0.4])
        >>> network(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    from kdcore.models.nets.normalize import Normalize

    inputs.of(shape).check(shape, mean, std)
    if classes < 2:
        raise ValueError(f"a classifier needs at least 2 classes, not {classes}")
    entry = registry.entry_of("architecture", architecture)
    if not fetch:
        without = {name: value for name, value in UNFETCHED.items() if name in type(architecture).model_fields}
        architecture = architecture.model_copy(update=without)
    return entry.implementation(architecture, classes, shape, Normalize(mean, std) if mean else nn.Identity())


def describe(
    architecture: Options,
    classes: int,
    shape: inputs.Shape,
    mean: Sequence[float],
    std: Sequence[float],
    network: nn.Module | None = None,
) -> dict[str, Any]:
    """What `rebuild` needs beside the tensors, as a JSON document.

    `network`: the one that was made of the architecture; needed where a projector may have been added to it (SimKD).
    """
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "architecture": architecture.model_dump(mode="json"),
        "classes": classes,
        "shape": list(shape),
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
    }
    if network is not None and hasattr(network, "projector"):
        from kdcore.models.nets import projector

        document["projector"] = projector.description(network)
    return document


def rebuild(document: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    """The network of a `describe` document with these tensors (its state dict), exactly, on the CPU, in eval mode.

    Layers take the tensors' sizes, so a network whose channels were pruned comes back as it was, and so does one
    whose layers were split into factors, or tied to each other. The tensors are copied. Raises ValueError, which
    names the tensor that does not fit.
    """
    from kdcore.models.nets import bert, factored, tied, vocabulary

    architecture = registry.validate("architecture", document["architecture"])
    with torch.device("meta"):
        network = create(
            architecture,
            document["classes"],
            tuple(document["shape"]),
            document["mean"],
            document["std"],
            fetch=False,
        )
        if "projector" in document:
            from kdcore.models.nets import projector

            last = any(path.startswith("last.") for path in tensors)  # it was kept once
            network = projector.insert(network, **document["projector"], classes=document["classes"], last=last)
        bert.as_saved(network, tensors)
        factored.as_saved(network, tensors)
        vocabulary.as_saved(network, tensors)
    network.eval()
    resize.load(network, tensors)
    tied.as_saved(network, tensors)
    resize.check(network, tuple(document["shape"]), document["classes"])
    return network


def head(network: nn.Module) -> nn.Module:
    """The classifier: the layer that gives the logits."""
    own = names.of(network)
    return network.get_submodule(own.head if own else "head")


def blocks(network: nn.Module) -> dict[str, nn.Module]:
    """The blocks of a transformer for texts by their paths, first to last; none in other networks.

    Each has an `attention` with the layers `query`, `key`, `value` and `out` in heads of `width`, and a `mlp` of
    `linear1` and `linear2`.
    """
    from kdcore.models.nets.text_encoder import Attention

    named = network.named_modules()
    return {path: module for path, module in named if isinstance(getattr(module, "attention", None), Attention)}


def taps(network: nn.Module) -> dict[str, nn.Module]:
    """The modules whose outputs are the network's features, first to last: "stem", "stage1" and so on.

    Where something else comes between the last stage and the child `pool`, its output is "last" (what the
    classifier averages), or "projector" in a network that SimKD made. Of a person's own network: those that it names.
    """
    if own := names.of(network):
        return {name: network.get_submodule(name) for name in own.taps}
    found: dict[str, nn.Module] = {}
    for (name, child), (after, _) in pairwise(network.named_children()):
        if name == "stem" or name.startswith("stage"):
            found[name] = child
        elif after == "pool":
            found[name if name == "projector" else "last"] = child
    return found
