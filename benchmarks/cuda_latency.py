"""Latency on a GPU: eager, as a CUDA graph and compiled, in fp32 and bf16, at batch 1 and 64. Needs a GPU.

python -m benchmarks.cuda_latency [--write] [--seconds S]

What to expect (nobody has run it yet): with one image a network is bound by the launching of its kernels, so that deep
ones take longest whatever their width, a CUDA graph is clearly faster than eager, and bf16 gains little. With 64 images
wide networks are bound by arithmetic, and bf16 gains. Compiling needs Triton and a C compiler; where it fails, the
reason stands under the table, and all the rest is measured. Anything else is worth a look at `kdcore/measure/cuda.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import publish, table
from kdcore import machine, models, registry
from kdcore.export import weights
from kdcore.measure import cuda
from kdcore.measure.timing import BATCHES

SHAPE, CLASSES, MEAN, STD = (3, 32, 32), 100, [0.5] * 3, [0.25] * 3
NETWORKS: dict[str, dict[str, Any]] = {
    "resnet32x4": {"architecture": "resnet", "depth": 32, "width": 4},
    "resnet8x4": {"architecture": "resnet", "depth": 8, "width": 4},
    "resnet20": {"architecture": "resnet", "depth": 20},
    "mobilenetv2": {"architecture": "mobilenetv2"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the section into docs/results.md")
    parser.add_argument("--seconds", type=float, default=400.0, help="time for all of it, compiling included")
    chosen = parser.parse_args()
    if machine.device() != "cuda":
        sys.exit("this machine has no GPU that CUDA can use")
    with tempfile.TemporaryDirectory() as folder:
        folders = {name: saved(Path(folder) / name, options) for name, options in NETWORKS.items()}
        found = cuda.session(folders, SHAPE, cuda.Gpu(), seconds=chosen.seconds)
    publish("CUDA latency", "python -m benchmarks.cuda_latency", section(found))


def saved(folder: Path, chosen: dict[str, Any]) -> Path:
    """A network with weights by chance, as a run leaves it."""
    folder.mkdir()
    options = registry.validate("architecture", chosen)
    torch.manual_seed(0)
    network = models.create(options, CLASSES, SHAPE, MEAN, STD).eval()
    weights.save(folder, network, models.describe(options, CLASSES, SHAPE, MEAN, STD, network=network))
    return folder


def section(found: dict[str, Any]) -> str:
    rounds, rows, reasons = found["protocol"]["rounds"], [], {}
    for name, model in found["models"].items():
        for batch, precision in ((str(batch), precision) for batch in BATCHES for precision in cuda.PRECISIONS):
            modes = model["batches"][batch][precision]
            eager = modes["eager"].get("ms")
            rows.append([name, batch, precision, *(cell(modes[mode], eager) for mode in cuda.MODES)])
            reasons |= {f"{name}, {mode}": one["reason"] for mode, one in modes.items() if "reason" in one}
    return "\n\n".join(
        [
            f"Milliseconds of one call on {found['device']}, median (90th percentile), and times as fast as eager; by "
            f"CUDA events, images and weights on the device, {SHAPE[1]}x{SHAPE[2]} random images, all interleaved in "
            f"{rounds['1']} rounds at batch 1 and {rounds['64']} at batch 64. fp32 convolutions "
            f"{'may round to TF32' if found['tf32'] else 'do not round to TF32'}; bf16 is autocast.",
            table(["network", "batch", "precision", *cuda.MODES], rows),
            "\n".join(f"- {which}: {reason}" for which, reason in reasons.items()),
        ]
    )


def cell(one: dict[str, Any], eager: float | None) -> str:
    if "ms" not in one:
        return "–"
    times = f", {eager / one['ms']:.1f}x" if eager else ""
    return f"{one['ms']:.3f} ({one['p90_ms']:.3f}){times}"


if __name__ == "__main__":
    main()
