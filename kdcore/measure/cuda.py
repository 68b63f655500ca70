"""Latency on a GPU, by CUDA events: each network eager, compiled and as a CUDA graph, all of them side by side.

Beside the timing session of the deployed files, which is a processor's: what is timed here is the network that a file
was exported from. Nothing is compared between the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from kdcore import inputs
from kdcore.export import weights
from kdcore.inputs.kind import laid_out
from kdcore.measure.timing import BATCHES, interleaved
from kdcore.train.precision import autocast, frozen

Mode = Literal["eager", "graph", "compiled"]
MODES: tuple[Mode, ...] = ("eager", "graph", "compiled")  # in the order in which they are made ready
PRECISIONS = ("fp32", "bf16")
COMPILE_SECONDS = 20.0  # that compiling one network may take; what takes longer is allowed for once it was seen
NO_NETWORK = "the deployed file runs on a processor, and there is no equivalent network for a GPU"
NO_TIME = "no time was left to compile it: measure again with more seconds (bench --seconds)"
LONGEST_REASON = 300


class Device(Protocol):
    """What is used of a GPU here. `about`: its description in the document."""

    about: Mapping[str, Any]

    def ready(self, folder: Path, mode: Mode, precision: str, images: np.ndarray) -> Callable[[], object]:
        """The saved network on these images (B, C, H, W), to be called again and again. Raises what torch raises."""

    def timed(self, call: Callable[[], object]) -> int:
        """Nanoseconds from the call to the end of its work on the device."""


class Name(NamedTuple):
    """What is timed: the network of a model, at a precision, in a mode."""

    key: str
    precision: str
    mode: Mode


def session(
    folders: Mapping[str, Path | None],
    shape: inputs.Shape,
    device: Device,
    *,
    seconds: float,
    batches: Sequence[int] = BATCHES,
    seed: int = 0,
    heard: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Times the networks saved in `folders` on random images (C, H, W) in [0, 1]; a part of the session's document.

    None in place of a folder: only a file is deployed. `seconds`: the time budget; as many rounds as fit, and at least
    5. Compiling takes long, so it is left out where the budget has no room for it. `heard` is called between any two
    calls and may raise to end it all.

    The document: `device` (its name), `tf32` (whether convolutions in fp32 may round to it), `protocol`, and `models`:
    by key a `reason` why there is nothing, or `batches`: by batch, by precision (fp32, and bf16: autocast, with the
    large weights in it already) and by mode (eager, graph, compiled) either `ms` and `p90_ms`, median and 90th
    percentile over calls in milliseconds, or the `reason` why not. Images and weights are on the device before the
    clock starts. What fails is reported, and the rest is measured.
    """
    started = time.perf_counter()
    generator = np.random.default_rng(seed)
    models: dict[str, dict[str, Any]] = {
        key: {"batches": {}} if folder else {"reason": NO_NETWORK} for key, folder in folders.items()
    }
    rounds = {}
    for left, batch in zip(range(len(batches), 0, -1), batches, strict=True):
        images = inputs.of(shape).random(shape, batch, generator)
        now = time.perf_counter()
        deadline = now + (started + seconds - now) / left
        ready, refused = _made_ready(folders, device, images, deadline, heard)
        timed = {name: _timed(device, call) for name, call in ready.items()}
        calls = interleaved(timed, generator, deadline, heard)[1] if timed else {}
        rounds[str(batch)] = max((len(found) for found in calls.values()), default=0)
        found = {name: _summary(times) for name, times in calls.items()} | refused
        for key in (key for key, folder in folders.items() if folder):
            models[key]["batches"][str(batch)] = {
                precision: {mode: found[Name(key, precision, mode)] for mode in MODES} for precision in PRECISIONS
            }
    return {
        **device.about,
        "protocol": {"clock": "CUDA events", "rounds": rounds, "budget_s": seconds, "seed": seed},
        "models": models,
    }


def _made_ready(
    folders: Mapping[str, Path | None],
    device: Device,
    images: np.ndarray,
    deadline: float,
    heard: Callable[[], None],
) -> tuple[dict[Name, Callable[[], object]], dict[Name, dict[str, str]]]:
    """What can be timed, and of the others the reason. The quick modes come first, then fp32 before bf16."""
    ready: dict[Name, Callable[[], object]] = {}
    refused: dict[Name, dict[str, str]] = {}
    longest = COMPILE_SECONDS
    there = [(key, folder) for key, folder in folders.items() if folder]
    for name, folder in ((Name(k, p, m), f) for m in MODES for p in PRECISIONS for k, f in there):
        heard()
        began = time.perf_counter()
        if name.mode == "compiled" and began + longest > deadline:
            refused[name] = {"reason": NO_TIME}
            continue
        try:
            ready[name] = device.ready(folder, name.mode, name.precision, images)
        except (
            Exception
        ) as error:  # no compiler, an operation that cannot be captured, no memory: reported, never fatal
            text = " ".join(f"{type(error).__name__}: {error}".split())
            refused[name] = {"reason": text[:LONGEST_REASON]}
        if name.mode == "compiled":
            longest = max(longest, time.perf_counter() - began)
    return ready, refused


def _timed(device: Device, call: Callable[[], object]) -> Callable[[], tuple[int, ...]]:
    return lambda: (device.timed(call),)


def _summary(times: list[list[tuple[int, ...]]]) -> dict[str, float]:
    milliseconds = np.array(times) / 1e6
    return {"ms": float(np.median(milliseconds)), "p90_ms": float(np.percentile(milliseconds, 90))}


class Gpu:
    """The first CUDA device. Networks are channels last, as they are trained."""

    def __init__(self) -> None:
        self.device = torch.device("cuda")
        self.about: Mapping[str, Any] = {
            "device": torch.cuda.get_device_name(self.device),
            "tf32": torch.backends.cudnn.allow_tf32,
        }
        torch.backends.cudnn.benchmark = True
        self._start, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._network = lru_cache(maxsize=None)(self._load)

    def ready(self, folder: Path, mode: Mode, precision: str, images: np.ndarray) -> Callable[[], object]:
        given = laid_out(torch.from_numpy(images).to(self.device))
        network = self._network(folder, precision)
        # As a whole, or not at all: what is compiled in parts, or quietly not, is no compiled network.
        answer = torch.compile(network, fullgraph=True, dynamic=False) if mode == "compiled" else network

        def call() -> object:
            with torch.no_grad(), autocast(self.device, precision):
                return answer(given)

        call()
        return _captured(call) if mode == "graph" else call

    def timed(self, call: Callable[[], object]) -> int:
        self._start.record()
        call()
        self._end.record()
        self._end.synchronize()
        return round(self._start.elapsed_time(self._end) * 1e6)

    def _load(self, folder: Path, precision: str) -> nn.Module:
        network = weights.load(folder).to(self.device).to(memory_format=torch.channels_last)
        return frozen(network.eval().requires_grad_(False), precision)


def _captured(call: Callable[[], object]) -> Callable[[], object]:
    """The call as a CUDA graph: its kernels, launched at once."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what is set up at the first calls must not be captured
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        written = call()

    def replay() -> object:
        graph.replay()
        return call, written  # what the graph reads and writes must not be freed before it

    return replay
