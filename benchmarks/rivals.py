"""Our files beside those that fasterai makes of the same network, in one timing session: resnet18 at 224x224.

    python -m benchmarks.rivals [--write] [--openvino] [--seconds 45] [--keep FOLDER]

In a virtual environment of its own, which benchmarks/requirements-rivals.txt describes. The weights are random: what a
file costs to run does not depend on them. What int8 changes is given as the error of the logits against the same
network in fp32, on images that calibrated nothing.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks import compression_speed as speed
from benchmarks.results import publish, table
from kdcore import models, registry
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.export import runtime
from kdcore.measure import timing
from kdcore.report import format, sessions

VARIANTS: dict[str, list[dict[str, Any]]] = {
    speed.WHOLE: [],
    "static int8": [{"step": "int8"}],
    "pruned 50 %": [speed.PRUNED],
    "pruned 50 %, int8": [speed.PRUNED, {"step": "int8"}],
}
RIVAL = "fasterai"
SHAPE = (3, 224, 224)
CALIBRATION, TEST = 32, 32  # images
LOADS = 4


WHY = (
    "Compared node by node, the int8 graphs are the same but for one thing: ours has a scale a filter, theirs a scale"
    " a layer, which costs accuracy and saves nothing that can be measured. Pruned, both have the same widths. A "
    "third of the time of the pruned int8 file went to the first convolution, where ONNX Runtime gathers patches of "
    "three channels, three bytes at a time. Ours now lays the pixels out in blocks of 2x2 first "
    "(`kdcore/export/blocks.py`): twelve channels, stride 1, the same sums bit by bit. In OpenVINO, which does not "
    "need it, that costs a few percent. An fp32 first convolution in an int8 file is no way out: such a file took 1.6"
    " times as long."
)
EARLIER = [
    ["ours, before that", "1.00", "1.83", "3.47", "4.91"],
    [RIVAL, "1.01", "1.77", "3.54", "5.16"],
    ["ours in OpenVINO 2026.4, before that", "0.91", "1.99", "3.15", "5.87"],
]
AFTER = (
    "The second table is of 27 November 2026, on a processor with AVX2 and without VNNI: medians of 25 interleaved "
    "rounds, A/A 1.02. Static int8 gains 1.8 times there, and 2.9 to 3.4 times on processors with VNNI."
)


class Pair(NamedTuple):
    """The same variant made here and by the rival."""

    ours: Path
    theirs: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the section into docs/results.md")
    parser.add_argument(
        "--openvino", action="store_true", help="time all files in OpenVINO too, which takes twice as long"
    )
    parser.add_argument("--seconds", type=float, default=45, help="of the timing session")
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        network, images = _network()
        pairs = {name: _pair(network, name, images[:CALIBRATION], folder) for name in VARIANTS}
        files = {name: pair.ours for name, pair in pairs.items()}
        files |= {_theirs(name): pair.theirs for name, pair in pairs.items()}
        before = os.getloadavg()[0]
        found = speed.session(files, SHAPE, (1,), chosen.seconds, LOADS, openvino=chosen.openvino)
        errors = _errors(files, images[CALIBRATION:].numpy())
        publish("Rivals", "python -m benchmarks.rivals", report(found, files, errors, before))


def _network() -> tuple[nn.Module, torch.Tensor]:
    """The network and images (n, C, H, W) in [0, 1]: coarse ones, as of fine noise all are the same to a network."""
    torch.manual_seed(0)
    coarse = torch.rand(CALIBRATION + TEST, 3, 4, 4)
    images = nn.functional.interpolate(coarse, size=SHAPE[1:], mode="bilinear")
    options = registry.validate("architecture", {"architecture": "torchvision", "name": "resnet18"})
    network = models.create(options, 1000, SHAPE, speed.MEAN, speed.STD).eval()
    recalibrate(network, images[:CALIBRATION], 0)
    return network, images


def _pair(network: nn.Module, name: str, images: torch.Tensor, folder: Path) -> Pair:
    own = folder / name.replace(" ", "_").replace("%", "")
    own.mkdir()
    ours = speed.compressed(network, VARIANTS[name], images, own / "ours").path
    return Pair(ours, _rival(network, name, images, own / "theirs.onnx"))


def _rival(network: nn.Module, name: str, images: torch.Tensor, target: Path) -> Path:
    """The file that fasterai's own calls make, as its documentation shows them."""
    from fasterai.core.criteria import large_final
    from fasterai.export.onnx_exporter import export_onnx
    from fasterai.prune.pruner import Pruner

    network = copy.deepcopy(network).requires_grad_(True)
    with redirect_stdout(None):
        if "pruned" in name:
            Pruner(network, 0.5, "local", large_final, example_inputs=images[:1]).prune_model()
            recalibrate(network, images, 0)
        if "int8" not in name:
            return export_onnx(network.eval(), images[:1], target)
        single = [image[None] for image in images]
        return export_onnx(
            network.eval(), images[:1], target, quantize=True, quantize_mode="static", calibration_data=single
        )


def _errors(files: dict[str, Path], images: np.ndarray) -> dict[str, float]:
    """RMS error of an int8 file's logits against its fp32 file's, relative to how these differ between images."""
    said = {
        name: np.concatenate([runtime.logits(path, image[None]) for image in images]) for name, path in files.items()
    }
    found = {}
    for name, logits in said.items():
        whole = said[name.replace("static int8", speed.WHOLE).replace(", int8", "")]
        found[name] = float(np.sqrt(((logits - whole) ** 2).mean() / (whole.std(axis=0) ** 2).mean()))
    return found


def report(found: dict[str, Any], files: dict[str, Path], errors: dict[str, float], load: float) -> str:
    """The section: a row a variant, ours beside theirs."""
    rows = []
    for name in VARIANTS:
        ours, theirs = (sessions.speed(found, 1, one, speed.WHOLE) for one in (name, _theirs(name)))
        ahead = sessions.speed(found, 1, name, _theirs(name))
        assert ours
        assert theirs
        assert ahead
        rows.append(
            [
                name,
                f"{timing.milliseconds(found, 1, name):.3g}",
                f"{ours.value:.2f}",
                f"{theirs.value:.2f}",
                f"{ahead.value:.3f} ({ahead.low:.3f} to {ahead.high:.3f})" + ": level" * (not ahead.differs),
                *(_elsewhere(found, one) for one in (name, _theirs(name)) if "openvino" in found),
                *(f"{files[one].stat().st_size:,}" for one in (name, _theirs(name))),
                *(f"{100 * errors[one]:.1f}" if "int8" in name else "" for one in (name, _theirs(name))),
            ]
        )
    columns = ["variant", "ours (ms)", "ours (times)", f"{RIVAL} (times)", "ours beside theirs (95 %)"]
    columns += ["ours in OpenVINO", f"{RIVAL} in OpenVINO"] if "openvino" in found else []
    columns += ["ours (bytes)", f"{RIVAL} (bytes)", "ours, error (%)", f"{RIVAL}, error (%)"]
    low, high = timing.aa_band(found, 1)
    rounds, loads = found["protocol"]["rounds"]["1"], found["protocol"]["loads"]
    head = (
        f"resnet18, 1,000 classes, random weights, batch 1, one thread: thread-CPU medians of {rounds} "
        f"interleaved rounds over {loads} loads of all files, times as fast as our fp32 file. A/A band {low:.3f} to "
        f"{high:.3f}; the thread had a core for {format.percent(found['contention']['1'])} of the time; load average "
        f"{load:.1f} before. *Error*: of the logits against the same network in fp32, on {TEST} images that did not "
        "calibrate, relative to their spread over the images. Both put the pixels' normalisation into the file."
    )
    return "\n\n".join([head, table(columns, rows), WHY, table(["on another processor", *VARIANTS], EARLIER), AFTER])


def _elsewhere(found: dict[str, Any], name: str) -> str:
    """Times as fast in OpenVINO as our fp32 file in ONNX Runtime."""
    return f"{timing.ratio(found, 1, name, speed.WHOLE, openvino=True).value:.2f}"


def _theirs(name: str) -> str:
    return f"{name}, {RIVAL}"


if __name__ == "__main__":
    main()
