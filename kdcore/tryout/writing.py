"""What language models write after a beginning, one character or token after the other, each from its ONNX file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnxruntime import InferenceSession

from kdcore import inputs
from kdcore.export import runtime
from kdcore.files import read_json
from kdcore.inputs.ids import FIRST
from kdcore.inputs.tokens import Continuing
from kdcore.measure.quality import log_softmax

LONGEST_CHARACTER = 4  # tokens, of a byte each
COOLEST = 0.05  # temperatures below take the most probable character


class Written(NamedTuple):
    """`text`: what was written after the beginning, in `seconds`."""

    text: str
    seconds: float

    @property
    def pace(self) -> float:
        """Characters a second."""
        return len(self.text) / max(self.seconds, 1e-9)


def tokenizer_of(folder: Path) -> Continuing | None:
    """What the language models of a data set read, which is in this folder; None where its models do not write.

    Raises OSError, Damaged.
    """
    kind = inputs.of(read_json(folder / "info.json")["shape"])
    if "continue" not in kind.sources:
        return None
    found: Continuing = kind.load(folder, "test_images").tokenizer
    return found


def written(
    model: InferenceSession,
    tokenizer: Continuing,
    beginning: str,
    characters: int,
    *,
    temperature: float,
    seed: int = 0,
) -> Written:
    """So many `characters` after the beginning, the same for the same seed. Raises ValueError.

    Each, or each token of some characters, is drawn from the probabilities at `temperature`, of the window's last
    place; the window then moves on by one. Nothing is remembered of earlier places, so every one costs a whole pass.
    """
    if not beginning:
        raise ValueError("a beginning needs one character at least")
    chance = np.random.default_rng(seed)
    ids = tokenizer.opening(beginning).astype(np.int64)
    given, written_so_far = len(ids), 0.0
    started = time.perf_counter()
    for _ in range(LONGEST_CHARACTER * characters):
        if written_so_far >= characters:
            break
        logits = runtime.logits(model, ids[None, -tokenizer.longest :])[-1]
        drawn = _drawn(logits, temperature, chance)
        ids, written_so_far = np.append(ids, drawn + FIRST), written_so_far + tokenizer.characters[drawn]
    seconds = time.perf_counter() - started
    return Written(tokenizer.decoded(ids[given:])[:characters], seconds)


def _drawn(logits: np.ndarray, temperature: float, chance: np.random.Generator) -> int:
    if not np.isfinite(logits).all():
        raise ValueError("its answer is not a finite number")
    if temperature < COOLEST:
        return int(logits.argmax())
    shares = np.exp(log_softmax(logits[None] / temperature)[0])
    return int(chance.choice(len(shares), p=shares / shares.sum()))
