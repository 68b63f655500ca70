"""A published network with its own classifier as a weights file, for processes without torch.

`fetched` asks a subprocess (`python -m kdcore.models.published_file`), which downloads the weights where they are not
here yet, keeps the outputs of the classes that are wanted, and writes safetensors.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kdcore import child, registry
from kdcore.files import replacing
from kdcore.lazy import torch
from kdcore.models import published, zoo
from kdcore.registry import Options

LIBRARIES = ("torchvision", "timm")
VERSION = 1  # raise it when the same question should give another file
IMAGENET = 1000  # classes
TIMEOUT_SECONDS = 1800
CONNECT_SECONDS = 10


class NotPublished(ValueError):
    """There are no such weights here; the message says why, and what would do."""


def fetched(architecture: Options, classes: Sequence[str], shape: tuple[int, int, int]) -> Path:
    """The weights file of a torchvision or timm network for these of ImageNet's classes and images (C, H, W).

    Seconds, and a download, the first time. Raises NotPublished.
    """
    document = architecture.model_dump(mode="json") | {"pretrained": True}
    question = {"version": VERSION, "architecture": document, "classes": list(classes), "shape": list(shape)}
    digest = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]
    path = published.folder() / f"{document['architecture']}-{document['name']}-{digest}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _ask(question | {"target": str(path)})
    return path


def _ask(question: dict[str, Any]) -> None:
    try:
        done = child.run_module("kdcore.models.published_file", question=question, seconds=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise NotPublished(f"downloading the published weights took longer than {TIMEOUT_SECONDS} s") from None
    if done.returncode:
        raise NotPublished(f"the published weights cannot be read: {child.reason(done)[:200]}")
    if refused := child.answer(done)["refused"]:
        raise NotPublished(refused)


def write(question: dict[str, Any]) -> None:
    """What the subprocess does. Raises NotPublished, ValueError, PublishedWeightsError."""
    from safetensors.torch import save_file

    options: Any = registry.validate("architecture", question["architecture"])
    channels = question["shape"][0]
    rows = torch.tensor(outputs(question["classes"]))
    network = zoo.create(options, IMAGENET, tuple(question["shape"]), [0.5] * channels, [0.25] * channels)
    if question["architecture"]["architecture"] == "torchvision":
        published.load_head(network, options, IMAGENET, tuple(question["shape"]))
    state = network.state_dict() | {
        f"head.{name}": value.detach()[rows] for name, value in zoo.head(network).named_parameters()
    }
    with replacing(Path(question["target"])) as temporary:
        save_file({name: value.contiguous().clone() for name, value in state.items()}, temporary)


def outputs(classes: Sequence[str]) -> list[int]:
    """Which of ImageNet's 1000 outputs each class is: by its WordNet number, or by its name in torchvision.

    A thousand classes of other names are taken as they come. Raises NotPublished.
    """
    from torchvision import models

    weights: Any = models.get_model_weights("resnet18")
    synsets = Path(__file__).with_name("imagenet_synsets.txt").read_text("utf-8").split()
    for names in (synsets, weights.DEFAULT.meta["categories"]):
        places = {_plain(name): place for place, name in enumerate(names)}
        found = [places.get(_plain(name), -1) for name in classes]
        if min(found) >= 0 and len(set(found)) == len(found):
            return found
    if len(classes) == IMAGENET:
        return list(range(IMAGENET))
    raise NotPublished(
        f"the published weights know ImageNet's classes, and {_first(classes)} are not all among them: name the "
        "folders as ImageNet does (n01440764 or tench), or give weights that were trained on these classes"
    )


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())


def _first(names: Iterable[str]) -> str:
    few = [*names][:4]
    return ", ".join(few) + ", …"


def _main() -> None:
    socket.setdefaulttimeout(CONNECT_SECONDS)
    refused = ""
    try:
        write(json.load(sys.stdin))
    except (NotPublished, ValueError, published.PublishedWeightsError) as error:
        refused = str(error)
    print(json.dumps({"refused": refused}))


if __name__ == "__main__":
    _main()
