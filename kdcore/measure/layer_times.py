"""Where the time of a file goes: milliseconds of each layer, from ONNX Runtime's profiler, on one thread."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import onnx

from kdcore import inputs
from kdcore.export.graph import nests
from kdcore.export.layers import checked
from kdcore.export.network import Parts, parts
from kdcore.export.runtime import session

WEIGHTED = re.compile("Conv|Gemm|MatMul")  # in a kernel's name: FusedConv, QLinearConv and the like among them
ENDING = "_kernel_time"
TOKEN = re.compile(r"kdcore(\d+)_")
BATCH, WARM_UP, FEWEST = 64, 5, 10


class LayerTime(NamedTuple):
    """A kernel that ran: the layer with weights that it computes, None for what has none, and its operator.
    `ms`: median a batch."""

    layer: str | None
    operator: str
    ms: float


def layer_times(
    path: Path,
    shape: inputs.Shape,
    batch: int = BATCH,
    rounds: int = 40,
    seconds: float = 20.0,
    on_round: Callable[[float], None] = lambda share: None,
) -> list[LayerTime]:
    """The kernels in the order in which they run, for `batch` images (C, H, W).

    After a warm-up as many `rounds`, or those of `seconds`, but ten at least. `on_round` hears the share that is done,
    0..1. Raises ValueError for a file that is no ONNX model, UnreadableModel for one that does not run.
    """
    model = checked(path)
    found = parts(model, {})
    _mark(model, found)
    with tempfile.TemporaryDirectory() as folder:
        running = session(model.SerializeToString(), profile=Path(folder) / "profile")
        name = running.get_inputs()[0].name
        images = inputs.of(shape).random(shape, batch, np.random.default_rng(0))
        began = time.monotonic()
        for done in range(WARM_UP + rounds):
            if done >= WARM_UP + FEWEST and time.monotonic() - began > seconds:
                break
            running.run(None, {name: images})
            on_round((done + 1) / (WARM_UP + rounds))
        events = json.loads(Path(running.end_profiling()).read_text("utf-8"))
    kernels: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(ENDING):
            kernels[event["name"], event["args"]["op_name"]].append(event["dur"] / 1000)
    return [
        LayerTime(_layer(name, operator, found), operator, median(ms[WARM_UP:]))
        for (name, operator), ms in kernels.items()
    ]


def _mark(model: onnx.ModelProto, found: Parts) -> None:
    """Writes each node's place in the network into its name and its tensors'. ONNX Runtime names the kernels after
    these, whatever it fuses, and runs branches in an order of its own."""
    if nests(model.graph):
        return
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    fresh = {tensor: f"kdcore{place}_{tensor}" for tensor, place in found.of.items() if tensor not in fixed}
    for node in model.graph.node:
        if node.output[0] in found.of:
            node.name = f"kdcore{found.of[node.output[0]]}_{node.output[0]}"
        node.input[:] = [fresh.get(name, name) for name in node.input]
        node.output[:] = [fresh.get(name, name) for name in node.output]


def _layer(name: str, operator: str, found: Parts) -> str | None:
    marked = TOKEN.search(name) if WEIGHTED.search(operator) else None
    return found.nodes[int(marked[1])].layer if marked else None
