"""ONNX classifiers that somebody else made: judged as hostile input, and made to take what ours take.

`adopt` has a subprocess with limits (`python -m kdcore.export.adoption`, of texts `text_adoption`) read the file, check
it, put the conversion of its input before it and that of its outputs behind it, and run the result. What comes out
takes "images" float32 (batch, C, H, W) in [0, 1] of any batch, or "ids" int64 (batch, length) with padding 0, and gives
"logits" (batch, K), as our own files do.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kdcore import child
from kdcore.data.normalisations import Normalisation
from kdcore.models.first_look import SECONDS, SLOW, Look

MOST_BYTES = 500_000_000
CPU_SECONDS = 10  # of processor time, for a small file: a busy machine refuses no honest one
BYTES_A_SECOND = 5_000_000  # how much longer a large file may take
LOOKING_SECONDS = 2 * SLOW * SECONDS  # of processor time, beside, for its answers to a sample
PATIENCE = 12  # wall time beside processor time

Pixels = Literal["0..1", "0..255", "normalised"]
Outputs = Literal["logits", "probabilities", "sigmoid"]


class ForeignModel(ValueError):
    """The file cannot teach here; the message says why and what would do. `changes`: options that would do."""

    def __init__(self, message: str, changes: Mapping[str, Any] = {}):
        super().__init__(message)
        self.changes = dict(changes)


class TooSlow(ForeignModel):
    """It was given up by the clock on the wall, so another time may end otherwise."""


class Wanted(NamedTuple):
    """What the file must fit, and how it wants its input: `shape` (C, H, W), `classes` K, `mean` and `std` a channel.

    `pixels`: the range that it takes. `outputs`: what it gives. `repeated`: whether it takes the one channel of the
    images three times; `mean` and `std` are of what it takes. `order`: the class of each output; empty: as they come.
    `names`: of the classes, where the file's own names may tell the order.
    """

    shape: tuple[int, int, int]
    classes: int
    mean: Sequence[float]
    std: Sequence[float]
    pixels: Pixels
    outputs: Outputs
    repeated: bool = False
    order: Sequence[int] = ()
    names: Sequence[str] = ()

    @property
    def takes(self) -> tuple[int, int, int]:
        """(C, H, W) of what the file takes."""
        return (3, *self.shape[1:]) if self.repeated else tuple(self.shape)  # type: ignore[return-value]


class WantedTexts(NamedTuple):
    """What a classifier of texts must fit: ids below `vocabulary`, of up to `longest` tokens, `length` in the middle.

    `labels`: what a document beside the file calls its outputs, as JSON; empty where none does. The rest as in Wanted.
    """

    vocabulary: int
    longest: int
    length: int
    classes: int
    outputs: Outputs
    order: Sequence[int] = ()
    names: Sequence[str] = ()
    labels: str = ""


class Judged(NamedTuple):
    """`params`: numbers in its weights, `zeros` of them zero. `macs`: of one image, None where they cannot be inferred.

    `batch`: the fixed batch that it wants, None for any. `scanned`: whether the file that is made of it runs so many
    at a time. `order`: the class of each output, where they do not come as in the data set. `look`: at its answers.
    `weights`: numbers in layers whose weights are fp32.
    """

    params: int
    zeros: int
    macs: int | None
    batch: int | None
    scanned: bool
    order: Sequence[int] = ()
    look: Look | None = None
    weights: int = 0

    @property
    def closed(self) -> str:
        """Why no compression step can work on the file that is made of it; empty where steps can."""
        if self.scanned:
            return f"its batch size is fixed to {self.batch}: export it with a dynamic batch axis"
        plain = 2 * self.weights > self.params
        return "" if plain else "most of its weights are not in fp32: give the file as it was before quantization"

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Judged:
        """From `document()`."""
        found = document["look"]
        return cls(**{**document, "look": Look.read(found) if found else None})

    def report(self) -> dict[str, Any]:
        """What the report of its model says beside the measurements."""
        return {
            "cost": {
                "params": self.params,
                "nonzero_params": self.params - self.zeros,
                "sparsity": self.zeros / self.params if self.params else 0.0,
                "macs": self.macs,
            },
            "source": self.document(),
        }

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return self._asdict() | {"look": self.look.document() if self.look else None}


def adopt(
    path: Path,
    wanted: Wanted | WantedTexts,
    target: Path | None = None,
    sample: Path | None = None,
    others: Mapping[str, Normalisation] = {},
) -> Judged:
    """Judges the file at `path` in a subprocess, and writes the one that takes what ours take to `target`.

    `sample`: a file of `first_look.Sample`, on which its accuracy is tried, normalised in each way of `others` too.
    Small inputs and some runs must do within `CPU_SECONDS` of processor time, and more for a large file. Raises
    ForeignModel.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ForeignModel(f"it has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are accepted")
    seconds = CPU_SECONDS + path.stat().st_size / BYTES_A_SECOND
    question = {
        "path": str(path), "target": str(target) if target else None, "wanted": wanted._asdict(), "seconds": seconds,
        "sample": str(sample) if sample else None, "others": others,
    }  # fmt: skip
    patience = PATIENCE * (seconds + (LOOKING_SECONDS if sample else 0))
    try:
        module = "kdcore.export.text_adoption" if isinstance(wanted, WantedTexts) else "kdcore.export.adoption"
        done = child.run_module(module, question=question, seconds=patience)
    except subprocess.TimeoutExpired:
        raise TooSlow(f"checking and running it takes longer than {patience:.0f} s") from None
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        raise ForeignModel(f"checking and running it takes more than {seconds:.0f} s of processor time")
    if done.returncode:
        raise ForeignModel("running it crashes: it needs too much memory or time, or is damaged")
    answer: dict[str, Any] = child.answer(done)
    if "refused" in answer:
        raise ForeignModel(answer["refused"], answer.get("changes", {}))
    return Judged.read(answer)
