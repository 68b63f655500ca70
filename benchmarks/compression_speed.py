"""How much faster and smaller each kind of compression makes a network, with random weights: nothing is trained.

What a file costs to run does not depend on what its weights say, so random ones are honest here; what they lose in
accuracy is another part's question.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.results import table
from kdcore import models, registry
from kdcore.compress.step import StepInput
from kdcore.compress.tools.recalibrate import recalibrate
from kdcore.compress.traits import StepTraits
from kdcore.export.onnx_file import export
from kdcore.measure import timing
from kdcore.measure.size import size
from kdcore.models.cost import macs
from kdcore.report import format, sessions

BUSY = 2  # processes beside, that never rest, and end with who began them
NEVER_REST = "import os\nhere = os.getppid()\nwhile os.getppid() == here: sum(range(10**6))"
ROUNDS = 240  # at most: with 60, calls of less than a millisecond show a band of 5 to 10 % on a busy machine
BAND = 0.03  # the widest A/A band that the protocol should show
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PRUNED = {"step": "prune_structured", "ratio": 0.5, "finetune": {"steps": 0}}
SPATIAL = {"step": "low_rank", "convolutions": "spatial", "by": "ratio", "finetune": {"steps": 0}}
ZEROS = {"step": "prune_unstructured", "ratio": 0.9, "finetune": {"steps": 0}}
WHOLE = "fp32"
VARIANTS: dict[str, list[dict[str, Any]]] = {
    WHOLE: [],
    "static int8": [{"step": "int8"}],
    "structured 50 %": [PRUNED],
    "structured 50 %, int8": [PRUNED, {"step": "int8"}],
    "spatial SVD, 1/4 of full rank": [SPATIAL | {"share": 1 / 4}],  # full: three times the filters, of a 3x3 kernel
    "spatial SVD, 1/4 of filters": [SPATIAL | {"share": 1 / 12}],
    "90 % zeros": [ZEROS],
    "fp16": [{"step": "half"}],
}


class File(NamedTuple):
    """A deployed file, and the multiply-accumulates of one image."""

    path: Path
    macs: int


class Subject(NamedTuple):
    """A network to be compressed. `faster`, `smaller`: the aims by variant, times. `seconds`: of a timing session.

    `loads`: how often a session loads all files anew. Where weights come to lie in memory makes one and the same file
    of 9 MB, which runs in less than a millisecond, up to 10 % faster or slower, and one of 47 MB up to 4 %.
    """

    model: dict[str, Any]
    classes: int
    side: int
    images: int
    batches: tuple[int, ...]
    seconds: float
    loads: int = 1
    faster: dict[str, float] = {}
    smaller: dict[str, float] = {}


SUBJECTS = {
    "resnet18": Subject(
        {"architecture": "torchvision", "name": "resnet18"}, 1000, 224, 32, (1,), 45, 9,
        {
            "static int8": 3.0, "structured 50 %": 3.3, "structured 50 %, int8": 8.0,
            "spatial SVD, 1/4 of full rank": 2.5, "spatial SVD, 1/4 of filters": 2.5,
        },
        {"static int8": 3.9, "structured 50 %, int8": 14.0},
    ),
    "resnet20": Subject({"architecture": "resnet", "depth": 20}, 100, 32, 256, (1, 64), 40, 10),
    "mobilenetv2": Subject({"architecture": "mobilenetv2", "width": 1.0}, 100, 32, 256, (1, 64), 40, 30),
}  # fmt: skip


def measure(name: str, quick: bool) -> dict[str, Any]:
    """The variants of one network, timed together on a machine as it is and beside busy processes, as JSON."""
    subject = SUBJECTS[name]
    seconds, loads = (subject.seconds / 5, 1) if quick else (subject.seconds, subject.loads)
    shape = (3, subject.side, subject.side)
    with tempfile.TemporaryDirectory() as folder:
        built = build(subject, shape, Path(folder))
        files = {variant: file.path for variant, file in built.items()}
        found = {"alone": session(files, shape, subject.batches, seconds, loads)}
        with busy():
            beside = seconds / len(subject.batches)
            found["beside"] = session(files, shape, (1,), beside, loads)
        sizes = {variant: size(file.path) | {"macs": file.macs} for variant, file in built.items()}
    return {"sizes": sizes, "sessions": found}


def build(subject: Subject, shape: tuple[int, int, int], folder: Path) -> dict[str, File]:
    """The deployed file of each variant, by its name."""
    torch.manual_seed(0)
    coarse = torch.rand(subject.images, 3, 4, 4)  # of fine noise, all images are the same to a network
    images = nn.functional.interpolate(coarse, size=shape[1:], mode="bilinear")
    options = registry.validate("architecture", subject.model)
    network = models.create(options, subject.classes, shape, MEAN, STD).eval()
    recalibrate(network, images, 0)  # activations of an ordinary size
    return {
        variant: compressed(network, steps, images, folder / str(number))
        for number, (variant, steps) in enumerate(VARIANTS.items())
    }


def compressed(network: nn.Module, steps: list[dict[str, Any]], images: torch.Tensor, folder: Path) -> File:
    """The file of a copy of the network after these steps, without training between them."""
    network, shape = copy.deepcopy(network), tuple(images.shape[1:])
    file = _exported(network, shape, images, folder / "0")
    for number, step in enumerate(steps, 1):
        scratch = folder / str(number)
        scratch.mkdir()
        options = registry.validate("step", step)
        material = StepInput(network, file, images, shape, scratch, seed=0)
        outcome = registry.entry_of("step", options).implementation(material, options)
        network = outcome.network.eval()
        file = outcome.onnx or _exported(network, shape, images, scratch / "export")
    return File(file, macs(network, shape))


def _exported(network: nn.Module, shape: tuple[int, ...], images: torch.Tensor, folder: Path) -> Path:
    folder.mkdir(parents=True)
    export(network, shape, folder / "model.onnx", images=images[:2].numpy())
    return folder / "model.onnx"


def session(
    files: dict[str, Path],
    shape: tuple[int, ...],
    batches: tuple[int, ...],
    seconds: float,
    loads: int,
    *,
    openvino: bool = False,
) -> dict[str, Any]:
    """A timing session, or several right after each other whose rounds are taken together; in OpenVINO too."""
    how: dict[str, Any] = {"batches": batches, "most_rounds": ROUNDS // loads, "memory": False, "openvino": openvino}
    parts = [timing.session(files, WHOLE, shape, seconds=seconds / loads, seed=seed, **how) for seed in range(loads)]
    sizes = [str(batch) for batch in batches]
    rounds = {size: sum(part["protocol"]["rounds"][size] for part in parts) for size in sizes}
    document = {
        "reference": WHOLE,
        "models": _merged(files, sizes, parts),
        "aa": {size: together([part["aa"][size] for part in parts]) for size in sizes},
        "contention": {size: fmean(part["contention"][size] for part in parts) for size in sizes},
        "protocol": {"rounds": rounds, "loads": loads},
    }
    if openvino:
        document["openvino"] = {"models": _merged(files, sizes, [part["openvino"] for part in parts])}
    return document


def _merged(names: Iterable[str], sizes: list[str], parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: {"batches": {size: together([part["models"][name]["batches"][size] for part in parts]) for size in sizes}}
        for name in names
    }


def together(summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """One model's times over several loads: all of its rounds, and the median of its calls' medians."""
    rounds = [time for summary in summaries for time in summary["rounds_cpu_ms"]]
    return {"wall_ms": median(summary["wall_ms"] for summary in summaries), "rounds_cpu_ms": rounds}


@contextmanager
def busy() -> Iterator[None]:
    """Processes beside this one that take all the time that they are given."""
    others = [subprocess.Popen([sys.executable, "-c", NEVER_REST]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def report(name: str, found: dict[str, Any]) -> str:
    """The part of the section about one network."""
    subject, alone, beside = SUBJECTS[name], found["sessions"]["alone"], found["sessions"]["beside"]
    sizes = found["sizes"]
    columns = ["variant", "ms", "times as fast, batch 1"]
    columns += [f"batch {batch}" for batch in subject.batches[1:]]
    columns += [f"beside {BUSY} busy processes", "bytes", "times smaller", "zipped", "MACs", "aims"]
    rows = []
    for variant in VARIANTS:
        speeds = [sessions.speed(alone, batch, variant, WHOLE) for batch in subject.batches]
        speeds.append(sessions.speed(beside, 1, variant, WHOLE))
        smaller = sizes[WHOLE]["size_bytes"] / sizes[variant]["size_bytes"]
        rows.append(
            [
                variant,
                f"{alone['models'][variant]['batches']['1']['wall_ms']:.3g}",
                *["1" if variant == WHOLE else _speed(speed) for speed in speeds],
                f"{sizes[variant]['size_bytes']:,}",
                f"{smaller:.2f}",
                f"{sizes[variant]['zip_bytes']:,}",
                format.count(sizes[variant]["macs"]),
                _aims(subject, variant, speeds[0], smaller),
            ]
        )
    head = (
        f"{subject.side}x{subject.side} pixels, {subject.classes} classes, random weights; thread-CPU medians of "
        "interleaved rounds on one thread, with 95 % bootstrap intervals; batch norm folded in all files. The full "
        "rank of a 3x3 kernel is three times its filters: a quarter of it leaves half of the MACs, a quarter of the "
        "filters a sixth."
    )
    return "\n\n".join([head, table(columns, rows), "\n".join([*_bands(alone, beside), *_reasons()])])


def _speed(speed: sessions.Speed | None) -> str:
    assert speed
    text = f"{speed.value:.2f} ({speed.low:.2f} to {speed.high:.2f})"
    return text if speed.differs else f"{text}: no difference"


def _aims(subject: Subject, variant: str, speed: sessions.Speed | None, smaller: float) -> str:
    assert speed
    parts = []
    for aims, value, what in ((subject.faster, speed.value, "faster"), (subject.smaller, smaller, "smaller")):
        if variant in aims:
            parts.append(f"{aims[variant]:g}x {what}: {'met' if value >= aims[variant] else '**missed**'}")
    return ", ".join(parts)


def _bands(alone: dict[str, Any], beside: dict[str, Any]) -> list[str]:
    """How far two copies of one file seemed to differ, at batch 1, in each session."""
    lines = []
    for what, session in (("as the machine was", alone), (f"beside {BUSY} busy processes", beside)):
        low, high = timing.aa_band(session, 1)
        rounds, loads = session["protocol"]["rounds"]["1"], session["protocol"]["loads"]
        within = "within" if max(1 - low, high - 1) <= BAND else "**beyond**"
        lines.append(
            f"- A/A band {what}: {low:.3f} to {high:.3f}, {within} ±{100 * BAND:g} %; the thread had a core for "
            f"{format.percent(session['contention']['1'])} of the time; {rounds} rounds over "
            f"{format.plural(loads, 'load')} of all files."
        )
    return lines


def _reasons() -> list[str]:
    """Why some are no faster, in the steps' own words."""
    found = []
    for variant, steps in VARIANTS.items():
        for step in steps:
            options = registry.validate("step", step)
            if not StepTraits.of(options).faster:
                found.append(f"- {variant}: {StepTraits.of(options).why}")
    return found
