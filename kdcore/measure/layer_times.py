"""Where the time of a file goes: milliseconds of each layer, from ONNX Runtime's profiler, on one thread."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from kdcore.export.runtime import session

WEIGHTED = ("Conv", "Gemm", "MatMul")  # of a kernel's name: FusedConv, QLinearConv and the like among them
ENDING = "_kernel_time"
WARM_UP = 5


class LayerTime(NamedTuple):
    """A kernel that ran: the layer that it computes, or the operator of one without weights. `ms`: median a batch."""

    name: str
    operator: str
    ms: float


def layer_times(
    path: Path, shape: Sequence[int], layers: Sequence[str], batch: int = 64, rounds: int = 40
) -> list[LayerTime]:
    """The kernels in the order in which they run, for `batch` images (C, H, W).

    `layers`: names of the layers with weights, in the order of the graph. Raises UnreadableModel.
    """
    with tempfile.TemporaryDirectory() as folder:
        running = session(path, profile=Path(folder) / "profile")
        name = running.get_inputs()[0].name
        images = np.random.default_rng(0).random((batch, *shape), dtype=np.float32)
        for _ in range(WARM_UP + rounds):
            running.run(None, {name: images})
        events = json.loads(Path(running.end_profiling()).read_text("utf-8"))
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(ENDING):
            found[event["name"], event["args"]["op_name"]].append(event["dur"] / 1000)
    left = iter(layers)
    return [
        LayerTime(next(left, operator) if operator.endswith(WEIGHTED) else operator, operator, median(ms[WARM_UP:]))
        for (_, operator), ms in found.items()
    ]
