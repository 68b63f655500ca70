"""Three networks as LiteRT files beside their ONNX files: bytes, agreement with torch, and speed of a single image.

    python -m benchmarks.litert [--write]

In an environment of its own with kdcore[litert], because litert-torch holds PyTorch back. The weights are random.
"""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from benchmarks.interleave import ratio_text, rounds
from benchmarks.results import publish, table
from kdcore import models, registry
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.export import runtime
from kdcore.export.onnx_file import export

NETWORKS: dict[str, tuple[dict[str, Any], int, tuple[int, int, int]]] = {  # architecture, classes, shape
    "digits CNN": ({"architecture": "cnn", "width": 32}, 10, (1, 8, 8)),
    "resnet8x4": ({"architecture": "resnet", "depth": 8, "width": 4}, 100, (3, 32, 32)),
    "MobileNetV2": ({"architecture": "mobilenetv2", "width": 1.0}, 100, (3, 32, 32)),
}
IMAGES, SECONDS = 64, 30.0


def main() -> None:
    load = os.getloadavg()[0]
    rows = [_row(name) for name in NETWORKS]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("litert-torch", "ai-edge-litert"))
    head = (
        f"fp32, random weights, {versions}; one thread, CPU seconds of the process, interleaved rounds with 95 % "
        f"bootstrap intervals, load average {load:.1f} before. *Differs*: the largest difference of a logit from "
        f"PyTorch's, over {IMAGES} images, beside the largest logit."
    )
    columns = ["network", "ONNX (bytes)", "LiteRT (bytes)", "differs", "LiteRT beside ONNX Runtime, batch 1", "A/A"]
    publish("LiteRT", "python -m benchmarks.litert", f"{head}\n\n{table(columns, rows)}")


def _row(name: str) -> list[str]:
    network, shape = _network(name)
    images = torch.rand(IMAGES, *shape)
    with torch.no_grad():
        expected = network(images).numpy()
    with tempfile.TemporaryDirectory() as scratch:
        onnx, lite = Path(scratch) / "model.onnx", Path(scratch) / "model.tflite"
        export(network, shape, onnx, images=images[:4].numpy())
        litert_torch.convert(network, (images[:1],)).export(str(lite))
        running = {"onnx": _onnx(onnx, images[:1]), "copy": _onnx(onnx, images[:1]), "lite": _lite(lite, images[:1])}
        answers = np.concatenate([_lite(lite, image[None])(1) for image in images])
        found = rounds(running, SECONDS, time.process_time)
        return [
            name,
            *(f"{path.stat().st_size:,}" for path in (onnx, lite)),
            f"{np.abs(answers - expected).max():.1g} of {np.abs(expected).max():.2g}",
            *(ratio_text(found["onnx"], found[other]) for other in ("lite", "copy")),
        ]


def _network(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    options, classes, shape = NETWORKS[name]
    torch.manual_seed(0)
    gray = [0.5] * shape[0]
    network = models.create(registry.validate("architecture", options), classes, shape, gray, gray).eval()
    recalibrate(network, torch.rand(IMAGES, *shape), 0)
    return network, shape


def _onnx(path: Path, image: torch.Tensor) -> Callable[[int], Any]:
    model, feed = runtime.session(path), {"images": image.numpy()}
    return lambda times: [model.run(None, feed)[0] for _ in range(times)][-1]


def _lite(path: Path, image: torch.Tensor) -> Callable[[int], Any]:
    model = Interpreter(model_path=str(path), num_threads=1)
    model.allocate_tensors()
    place, out = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]

    def run(times: int) -> Any:
        for _ in range(times):
            model.set_tensor(place, image.numpy())
            model.invoke()
        return model.get_tensor(out)

    return run


if __name__ == "__main__":
    main()
