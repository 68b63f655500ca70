"""Every compression step on every family of networks: what is tried, what is refused, and the page that tells it.

`python -m tests.families` renews docs/steps.md; tests/compress/test_families.py tries the pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.data.types import Dataset
from kdcore.execute import builder
from kdcore.execute.material import Made
from kdcore.export import runtime
from kdcore.recipe import Data, Train
from kdcore.registry import Options
from kdcore.workspace import keys
from kdcore.workspace.plans import Stage
from kdcore.workspace.workspace import Workspace

PAGE = Path(__file__).parent.parent / "docs" / "steps.md"
CLASSES = 5
FAMILIES: dict[str, dict[str, Any]] = {
    "MLP": {"architecture": "mlp", "widths": [24, 24, 24]},
    "CNN": {"architecture": "cnn", "width": 8},
    "ResNet": {"architecture": "resnet", "depth": 8},
    "VGG": {"architecture": "vgg", "depth": 8, "width": 0.125},
    "WRN": {"architecture": "wrn", "depth": 16, "width": 1},
    "MobileNetV2": {"architecture": "mobilenetv2", "width": 0.35},
    "ShuffleNet V1": {"architecture": "shufflenetv1", "groups": 3},
    "ShuffleNet V2": {"architecture": "shufflenetv2", "size": "x0.5"},
    "ViT": {"architecture": "vit", "patch": 4, "depth": 2, "dim": 16, "heads": 2},
}
# Defaults are for real networks and hundreds of images; these say the same in a moment.
BRIEF: dict[str, dict[str, Any]] = {
    "adaround": {"images": 16, "iterations": 3},
    "int8": {"images": 16},
    "joint": {"ratio": 0.2},
    "prune_structured": {"round_to": 2},
}
SHUFFLE = "cannot follow a channel shuffle"
FOLDED = "batch norm after a layer is folded into its weights, so they differ again"
# What a step says to a family that it cannot work on; a fragment of it.
REFUSED: dict[tuple[str, str], str] = {
    **{("prune_structured", family): SHUFFLE for family in ("ShuffleNet V1", "ShuffleNet V2")},
    **{("tie", family): FOLDED for family in FAMILIES if family not in ("MLP", "WRN", "ViT")},
}
# What model.safetensors holds after each step, in the words of the page, and how the test checks it: the parent's
# weights ("parent"), what the deployed file computes ("file"), or the same weights with activations not rounded
# ("weights").
HELD = {
    "parent": "the weights that the step was given, in fp32; the deployed file alone is quantized",
    "file": "the network that the deployed file computes",
    "weights": "the trained weights, on their grid; only the deployed file rounds the activations too",
}
HOLDS = {
    "adaround": "file",
    "code": "file",
    "half": "parent",
    "int8": "parent",
    "int8_dynamic": "parent",
    "joint": "weights",
    "low_rank": "file",
    "prune_structured": "file",
    "prune_unstructured": "file",
    "qat": "weights",
    "share": "file",
    "tie": "file",
    "weight_quant": "file",
}


def holding(step: str) -> str:
    """What model.safetensors holds after the step. Raises AssertionError, which names the missing place."""
    assert step in HOLDS, (
        f"HOLDS in tests/families.py does not say what model.safetensors holds after the step {step}: one of "
        f"{', '.join(HELD)}. Then run `python -m tests.families`"
    )
    return HOLDS[step]


DATA = {"labels": None, "transfer": False, "hide_classes": [], "validation": 0.2}
TRAINING: dict[str, Any] = {
    "train": Train(steps=2, batch_size=16).model_dump(mode="json", exclude={"epochs", "precision"}),
    "precision": "fp32",
}


def step_names() -> list[str]:
    """The names of the registered steps that work on networks for pictures."""
    return [entry.name for entry in registry.entries("step") if "pictures" in StepTraits.named(entry.name).reads]


def brief(step: str) -> Options:
    """The step with few images, and two steps of fine-tuning on labels where it has some."""
    asked: dict[str, Any] = {"step": step, **BRIEF.get(step, {})}
    if "finetune" in registry.entry("step", step).options.model_fields:
        asked["finetune"] = {"steps": 2, "targets": "labels", "learning_rate": 1e-4}
    return registry.validate("step", asked)


class Laboratory(builder.Builder):
    """Networks of every family, and what steps make of them: the pipeline's own Builder, on noise.

    `said`: by key, what each network answered to the test images, float32 (N, K), just before it was saved.
    """

    def __init__(self, root: Path, shape: tuple[int, int, int] = (3, 16, 16)):
        super().__init__(Workspace(root).ensure(), noise(shape), Data(validation=0.2))
        torch.set_num_threads(1)
        self.said: dict[str, np.ndarray] = {}

    def parent(self, model: dict[str, Any]) -> str:
        """The key of a network of this architecture, trained for two steps."""
        options = registry.validate("architecture", model)
        return self._made(
            {"kind": "train", "model": options.model_dump(mode="json"), "sees": "teacher", "data": DATA} | TRAINING
        )

    def child(self, parent: str, step: Options) -> str:
        """The key of what a step makes of it. Raises CompressError."""
        training = TRAINING if getattr(step, "finetune", None) else {}
        return self._made({"kind": "compress", "step": step.model_dump(mode="json"), "data": DATA} | training, parent)

    def _made(self, spec: dict[str, Any], parent: str | None = None) -> str:
        key = keys.digest([spec, parent])
        if not self.workspace.complete(key):
            stage = Stage(key=key, title="", kind=spec["kind"], variant="", role="", seed=0, parent=parent, spec=spec)
            self.workspace.model(key).mkdir(parents=True, exist_ok=True)
            self.build(stage, on_epoch=lambda row: None, on_phase=lambda phase: None, check=lambda: None)
        return key

    def _finish(self, stage: Stage, folder: Path, made: Made, exported: dict[str, Any]) -> None:
        assert made.network is not None
        with torch.no_grad():
            self.said[stage.key] = made.network(self.test_images()).numpy()
        super()._finish(stage, folder, made, exported)

    def test_images(self) -> torch.Tensor:
        """float32 (N, C, H, W) in [0, 1]."""
        return torch.from_numpy(runtime.pixels(self.dataset.test_images))


def noise(shape: tuple[int, int, int]) -> Dataset:
    """80 training and 24 test images of five classes: a picture of noise for each class, and noise on it."""
    channels, height, width = shape
    random = np.random.RandomState(0)
    pictures = random.randint(40, 216, (CLASSES, height, width, channels))

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % CLASSES
        return (pictures[labels] + random.randint(-40, 40, (count, height, width, channels))).astype(np.uint8), labels

    train, test = images(80), images(24)
    classes = tuple("abcde")
    mean, std = (0.5,) * channels, (0.25,) * channels
    return Dataset("noise", train[0], test[0], train[1], test[1], classes, "0" * 64, mean, std)


def refused(step: str, family: str) -> str | None:
    """What a plan says to the pair before anything is trained; None where it says nothing."""
    return StepTraits.named(step).refuses(registry.validate("architecture", FAMILIES[family]), ())


def page() -> str:
    """docs/steps.md: what each step is and does, what it cannot follow, and which family it refuses."""
    steps = registry.catalog("step")
    parts = [
        "# Compression steps",
        "Written by `python -m tests.families` from the registry and from what a test tries out "
        "(`tests/compress/test_families.py`): change it there.",
        *_overview(steps),
        *_families(),
        *(part for step in steps for part in _described(step)),
    ]
    return "\n\n".join(parts) + "\n"


def _overview(steps: list[dict[str, Any]]) -> list[str]:
    rows = [
        [f"[{step['name']}](#{step['name']})", step["description"], "yes" if step["faster"] else "no"] for step in steps
    ]
    last = ", ".join(step["name"] for step in steps if step.get("final"))
    return [
        "Their options are listed by `python -m kdcore steps --json`, and stand in the form.",
        _table(["step", "what it does", "faster"], rows),
        f"Steps follow each other in any order, except that these are the last: {last}. Also refused:",
        "\n".join(f"- {line}." for line in _undone()),
    ]


def _undone() -> Iterator[str]:
    """What cannot come after a step that others may follow."""
    for entry in registry.entries("step"):
        reasons: dict[str, list[str]] = {}
        for later in step_names():
            reason = StepTraits.named(entry.name).undone_by(later)
            if reason:
                reasons.setdefault(reason, []).append(later)
        for reason, names in reasons.items():
            yield f"after {entry.name}: {', '.join(names)} ({reason})"


def _families() -> list[str]:
    fragments = list(dict.fromkeys(REFUSED.values()))
    rows = []
    for step in step_names():
        told = [REFUSED.get((step, family)) for family in FAMILIES]
        rows.append([step, *(f"no ({fragments.index(words) + 1})" if words else "yes" for words in told)])
    notes = [f'{number}. "… {fragment} …"' for number, fragment in enumerate(fragments, 1)]
    return [
        "## Which step works on which network",
        "Every pair is tried on a few images: the step runs, is fine-tuned for two steps where it has a "
        "fine-tuning, exported, verified, measured, saved, and loaded in a fresh process with the same logits bit "
        "for bit, from `model.safetensors` and from `model.onnx`, with no pickle. *no*: refused before anything runs, "
        "with the words below the table.",
        _table(["step", *FAMILIES], rows),
        "\n".join(notes),
        "What `model.safetensors` holds afterwards:",
        _table(["step", "model.safetensors"], [[step, HELD[holding(step)]] for step in step_names()]),
    ]


def _described(step: dict[str, Any]) -> list[str]:
    told = [f"## {step['name']}", f"{step['description']}.", f"Source: {step['source']}.", step.get("why", "")]
    return [part for part in told if part]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
