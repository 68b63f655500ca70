"""ONNX classifiers that somebody else made: judged as hostile input, and made to take what ours take.

`adopt` has a subprocess with limits (`python -m kdcore.export.adoption`) read the file, check it, put the conversion
of pixels before it and that of its outputs behind it, and run the result. What comes out takes "images" float32
(batch, C, H, W) in [0, 1] of any batch and gives "logits" (batch, K), as our own files do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kdcore.paths import CHECKOUT

MOST_BYTES = 500_000_000
CPU_SECONDS = 10  # of processor time, for a small file: a busy machine refuses no honest one
BYTES_A_SECOND = 5_000_000  # how much longer a large file may take
PATIENCE = 12  # wall time beside processor time

Pixels = Literal["0..1", "0..255", "normalised"]
Outputs = Literal["logits", "probabilities"]


class ForeignModel(ValueError):
    """The file cannot teach here; the message says why and what would do."""


class TooSlow(ForeignModel):
    """It was given up by the clock on the wall, so another time may end otherwise."""


class Wanted(NamedTuple):
    """What the file must fit, and how it wants its input: `shape` (C, H, W), `classes` K, `mean` and `std` a channel.

    `pixels`: the range that it takes. `outputs`: what it gives.
    """

    shape: tuple[int, int, int]
    classes: int
    mean: Sequence[float]
    std: Sequence[float]
    pixels: Pixels
    outputs: Outputs


class Judged(NamedTuple):
    """`params`: numbers in its weights, `zeros` of them zero. `macs`: of one image, None where they cannot be told.

    `batch`: the fixed batch that it wants, None for any. `scanned`: whether the file that is made of it runs so many
    at a time.
    """

    params: int
    zeros: int
    macs: int | None
    batch: int | None
    scanned: bool


def adopt(path: Path, wanted: Wanted, target: Path | None = None) -> Judged:
    """Judges the file at `path` in a subprocess, and writes the one that takes what ours take to `target`.

    Small inputs and some runs must do within `CPU_SECONDS` of processor time, and more for a large file. Raises
    ForeignModel.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ForeignModel(f"it has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are accepted")
    seconds = CPU_SECONDS + path.stat().st_size / BYTES_A_SECOND
    question = {
        "path": str(path), "target": str(target) if target else None, "wanted": wanted._asdict(), "seconds": seconds
    }  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kdcore.export.adoption"],
            input=json.dumps(question), capture_output=True, encoding="utf-8", errors="replace",
            cwd=CHECKOUT, env=environment, timeout=PATIENCE * seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TooSlow(f"checking and running it takes longer than {PATIENCE * seconds:.0f} s") from None
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        raise ForeignModel(f"checking and running it takes more than {seconds:.0f} s of processor time")
    if done.returncode:
        raise ForeignModel("running it ends the process: it asks for too much memory or time, or is damaged")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "refused" in answer:
        raise ForeignModel(answer["refused"])
    return Judged(**answer)
