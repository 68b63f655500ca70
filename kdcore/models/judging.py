"""Weights files judged before anything is trained, for processes without torch.

`judge` asks a subprocess (`python -m kdcore.models.judging`), which makes the network and looks at its answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kdcore import child
from kdcore.data.normalisations import Normalisation
from kdcore.lazy import nn, torch
from kdcore.models.first_look import Look, Sample, look
from kdcore.models.upload import UploadError, Wanted, take

TIMEOUT_SECONDS = 600


class Judged(NamedTuple):
    """`both`: whether the file holds weights as they were trained and their running mean. `left`: names of its tensors
    that are no part of the network. `look`: at the network's answers."""

    both: bool
    left: Sequence[str]
    look: Look

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Judged:
        """From `document()`."""
        return cls(**{**document, "look": Look.read(document["look"])})

    def document(self) -> dict[str, Any]:
        """As plain JSON types."""
        return self._asdict() | {"look": self.look.document()}


def judge(path: Path, wanted: Wanted, sample: Path, others: Mapping[str, Normalisation]) -> Judged:
    """Whether the file has the weights of the network that is wanted, and how it does on a file of `first_look.Sample`.

    `others`: further ways to normalise its input, which are tried. Seconds, most of them for importing torch. Raises
    UploadError.
    """
    question = {"path": str(path), "wanted": wanted._asdict(), "sample": str(sample), "others": others}
    try:
        done = child.run_module("kdcore.models.judging", question=question, seconds=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise UploadError(f"testing the weights took longer than {TIMEOUT_SECONDS} s") from None
    if done.returncode:
        raise UploadError(f"the weights cannot be tested: {child.reason(done)[:200]}")
    answer: dict[str, Any] = child.answer(done)
    if "refused" in answer:
        raise UploadError(answer["refused"], answer["changes"])
    return Judged.read(answer)


def judged(path: Path, wanted: Wanted, sample: Sample, others: Mapping[str, Normalisation]) -> Judged:
    """What the subprocess does. Raises UploadError."""
    try:
        network, held = take(path, wanted)
    except UploadError:
        raise
    except ValueError as error:  # no such network for these images
        raise UploadError(str(error)) from None
    layer = network.get_submodule("normalize")
    own: Any = [getattr(layer, name).flatten().tolist() for name in ("mean", "std")]
    network.set_submodule("normalize", nn.Identity())
    finite = True

    def ask(pixels: Any) -> Any:
        nonlocal finite
        with torch.no_grad():
            answers = network(torch.from_numpy(pixels))
        finite = finite and bool(answers.isfinite().all())
        return answers.numpy()

    ask(Normalisation(*map(tuple, own)).of(sample.images[:1]))
    found = look(ask, sample, Normalisation(*map(tuple, own)), others)
    if not finite:
        raise UploadError(
            "the network's outputs are not finite (NaN or infinity): its weights are damaged or too large, "
            "or it needs another normalisation; use another file"
        )
    return Judged(held.both, list(held.left), found)


def _main() -> None:
    question = json.load(sys.stdin)
    others = {name: Normalisation(*map(tuple, one)) for name, one in question["others"].items()}
    try:
        sample = Sample.read(Path(question["sample"]))
        answer = judged(Path(question["path"]), Wanted(**question["wanted"]), sample, others).document()
    except UploadError as error:
        answer = {"refused": str(error), "changes": error.changes}
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
