"""Timing sessions: how fast models are, all of them side by side in one process on one thread.

On a shared machine sequential timings differ by a factor of three and more from one repeat to the next; ratios of
thread-CPU medians over interleaved, shuffled rounds differ by 1 to 3 %. So no model is ever timed alone. The
reference runs twice (A/A): what differs between its two copies is noise.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kdcore import inputs, machine
from kdcore.measure.beside import Loaded, OpenVino
from kdcore.measure.peak_memory import peak_memory_mb

log = logging.getLogger(__name__)

WARM_UPS = 5
THROW_AWAY = 1  # calls of a model in a round before those that count
CALLS = (2, 5)  # timed calls in a round: fewest and most
CALL_SECONDS = 0.01  # a model gets as many of them as fit in this
FEWEST_ROUNDS, AIMED_ROUNDS, MOST_ROUNDS = 5, 20, 60
LEAST_ROUNDS = 2  # where more would exceed the whole budget
GRACE_SECONDS = 2.0  # that a batch size may take whatever the budget: small networks need no more
LEAST_PASSES = 1 + LEAST_ROUNDS * (THROW_AWAY + CALLS[0])  # calls of each model without which there is no timing
TOO_LONG = "batches of {} examples were left out, as they exceed the time budget"
PROBE = 8  # a batch is tried with an eighth of its images
QUIET = 0.95  # share of the wall time that the thread must have had a core
COPY = "A/A copy"
BATCHES = (1, 64)
RESAMPLES = 1000
TELL_SECONDS = 0.2

Key = TypeVar("Key")

# Windows counts a thread's time in ticks of 16 ms, too coarse for one call.
_cpu_clock = time.perf_counter_ns if sys.platform == "win32" else time.thread_time_ns


class Ratio(NamedTuple):
    """How many times faster, with its 95 % interval; above 1 is faster."""

    value: float
    low: float
    high: float


def session(
    models: Mapping[str, Path],
    reference: str,
    shape: inputs.Shape,
    *,
    seconds: float,
    batches: Sequence[int] = BATCHES,
    seed: int = 0,
    most_rounds: int = MOST_ROUNDS,
    memory: bool = True,
    lengths: bool = False,
    openvino: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Times the ONNX files `models` on random inputs of this shape and returns the session's JSON document.

    `reference`: the key of the model that the others are compared with. `seconds`: the time budget, peak
    memory included; as many rounds as fit, at most `most_rounds`, and 5 even where they do not fit, but 2 where the
    budget (or 2 s for a batch size) ends before; a larger batch that needs more than is left even so is left out. Four
    times as many halve the A/A band, which calls of less than a millisecond need on a busy machine. `memory`: measure
    peak memory too, which starts a process for each model. `lengths`: time single inputs of other lengths too, where
    they have some (`Kind.at_lengths`). `openvino`: runs each file in OpenVINO too, in the same
    rounds, on one thread. `on_progress` hears the share of the budget that is spent, 0..1, a few times a second, and
    may raise to end the session.

    The document: `machine`, `protocol`, `reference`, `seconds` spent, `contention` (CPU over wall time) by
    batch and `noisy` when some is below 0.95; `models`: by key `peak_memory_mb` and by batch `wall_ms` and `cpu_ms`
    (medians over calls), `wall_p90_ms` and `rounds_cpu_ms` (a median a round), and the same by length in `lengths`
    where inputs have some; `aa`: the same of the copy, by batch;
    `left_out`: why, by batch; with `openvino` also `openvino`: its `version`, and `models`, by key `batches` as above
    or the `reason` why there are none, and a `reason` where it is not installed.
    Raises KeyError when `reference` is not in `models`, UnreadableModel for a bad file.
    """
    started = time.perf_counter()
    beside = OpenVino(models) if openvino else None
    running = _loaded({**models, COPY: models[reference]}, beside, seed)
    budget = _Budget(started, seconds, on_progress)
    peaks = _peaks(models, shape, budget) if memory else dict.fromkeys(models)
    generator = np.random.default_rng(seed)
    others = inputs.of(shape).at_lengths(shape, generator) if lengths else {}
    timed, left_out = _all_batches(running, batches, shape, generator, budget, most_rounds, len(others))
    by_length = _all_lengths({key: running[key] for key in models}, others, generator, budget, most_rounds)
    contention = {batch: rounds.contention() for batch, rounds in timed.items()}
    document = {
        "schema": 1,
        "machine": machine.describe(),
        "protocol": _protocol(timed, seconds, seed),
        "reference": reference,
        "seconds": time.perf_counter() - started,
        "contention": contention,
        "noisy": min(contention.values()) < QUIET,
        "models": {
            key: {"peak_memory_mb": peaks[key], "batches": _summaries(timed, key)}
            | ({"lengths": _summaries(by_length, key)} if by_length else {})
            for key in models
        },
        "aa": _summaries(timed, COPY),
        "left_out": left_out,
    }
    if beside:
        document["openvino"] = beside.document({batch: rounds.summary for batch, rounds in timed.items()})
    return document


def _summaries(timed: Mapping[str, _Rounds], key: str) -> dict[str, Any]:
    return {name: rounds.summary(key) for name, rounds in timed.items()}


def _peaks(models: Mapping[str, Path], shape: inputs.Shape, budget: _Budget) -> dict[str, float | None]:
    peaks = {}
    for key, path in models.items():
        budget.check()
        peaks[key] = peak_memory_mb(path, shape)
    return peaks


def _all_batches(
    running: Mapping[str, Loaded],
    batches: Sequence[int],
    shape: inputs.Shape,
    generator: np.random.Generator,
    budget: _Budget,
    most: int,
    after: int,
) -> tuple[dict[str, _Rounds], dict[str, str]]:
    """The rounds by batch, and why by batch that was left out. Each batch size has an equal part of what is left, as
    has each of what comes `after` them.
    """
    timed: dict[str, _Rounds] = {}
    left_out: dict[str, str] = {}
    for left, batch in zip(range(len(batches) + after, after, -1), batches, strict=True):
        images = inputs.of(shape).random(shape, batch, generator)
        now = time.perf_counter()
        allowed = max(budget.end - now, GRACE_SECONDS)
        if timed and (needed := LEAST_PASSES * _pass_seconds(running, images, timed, allowed)) > allowed:
            left_out[str(batch)] = f"{TOO_LONG.format(batch)}: up to {needed:.0f} s, of {allowed:.0f} s left"
            log.info("%s", left_out[str(batch)])
            continue
        deadline = now + (budget.end - now) / left
        timed[str(batch)] = _rounds(running, images, generator, deadline, budget, most, now + allowed)
    return timed, left_out


def _all_lengths(
    running: Mapping[str, Loaded],
    texts: Mapping[str, np.ndarray],
    generator: np.random.Generator,
    budget: _Budget,
    most: int,
) -> dict[str, _Rounds]:
    """The rounds by length, of single inputs. Each length has an equal part of what is left."""
    timed = {}
    for left, (length, text) in zip(range(len(texts), 0, -1), texts.items(), strict=True):
        now = time.perf_counter()
        rest = budget.end - now
        limit = now + max(rest, GRACE_SECONDS)
        timed[length] = _rounds(running, text, generator, now + rest / left, budget, most, limit)
    return timed


def _pass_seconds(
    running: Mapping[str, Loaded], images: np.ndarray, timed: Mapping[str, _Rounds], allowed: float
) -> float:
    """About how long one call of each model takes: by the calls of single images, and where these say that it is too
    long by a call of a part of the images, unless that is too long by itself."""
    single = sum(rounds.seconds() for rounds in timed.values()) / sum(map(int, timed))
    expected, part = single * len(images), max(1, len(images) // PROBE)
    if LEAST_PASSES * expected <= allowed or single * part > allowed:
        return expected
    calls = [_timed(call)[0] for call in _ready(running, images[:part]).values()]
    return sum(calls) / 1e9 * len(images) / part


def _loaded(files: Mapping[str, Path], beside: OpenVino | None, seed: int) -> dict[str, Loaded]:
    """In a random order: where a model's weights come to lie depends on its turn, and none always has the first."""
    loaders: dict[str, Callable[[], Loaded | None]]
    loaders = {key: partial(_in_onnxruntime, path) for key, path in files.items()}
    loaders |= beside.loaders() if beside else {}
    keys = list(loaders)
    found = {keys[turn]: loaders[keys[turn]]() for turn in np.random.default_rng(seed).permutation(len(keys))}
    return {key: load for key, load in found.items() if load}


def _in_onnxruntime(path: Path) -> Loaded:
    from kdcore.export import runtime

    model = runtime.session(path)
    return lambda images: partial(model.run, None, {model.get_inputs()[0].name: images})


def _ready(running: Mapping[str, Loaded], images: np.ndarray) -> dict[str, Callable[[], object]]:
    """A call on these images of each model that takes them."""
    made = {key: load(images) for key, load in running.items()}
    return {key: call for key, call in made.items() if call}


def _protocol(timed: Mapping[str, _Rounds], seconds: float, seed: int) -> dict[str, Any]:
    return {
        "threads": 1,
        "warm_ups": WARM_UPS,
        "throw_away": THROW_AWAY,
        "calls": {batch: rounds.calls for batch, rounds in timed.items()},
        "rounds": {batch: len(rounds.times[COPY]) for batch, rounds in timed.items()},
        "aimed_rounds": AIMED_ROUNDS,
        "budget_s": seconds,
        "seed": seed,
        "images": "uniform random",
    }


@dataclass
class _Rounds:
    """`times` by model: nanoseconds (rounds, calls, 2) of every timed call, wall and CPU; `calls` in a round."""

    calls: dict[str, int]
    times: dict[str, np.ndarray]

    def summary(self, key: str) -> dict[str, Any] | None:
        """None for a model that did not run."""
        if key not in self.times:
            return None
        wall, cpu = np.moveaxis(self.times[key] / 1e6, 2, 0)
        return {
            "wall_ms": float(np.median(wall)),
            "wall_p90_ms": float(np.percentile(wall, 90)),
            "cpu_ms": float(np.median(cpu)),
            "rounds_cpu_ms": np.median(cpu, axis=1).tolist(),
        }

    def seconds(self) -> float:
        """Of one call of each model."""
        return float(sum(np.median(times[:, :, 0]) for times in self.times.values()) / 1e9)

    def contention(self) -> float:
        """Share of the wall time in which the thread had a core, at most 1."""
        wall, cpu = sum(times.sum(axis=(0, 1)) for times in self.times.values())
        return min(1.0, float(cpu / wall))


def _rounds(
    running: Mapping[str, Loaded],
    images: np.ndarray,
    generator: np.random.Generator,
    deadline: float,
    budget: _Budget,
    most: int,
    limit: float,
) -> _Rounds:
    timed = {key: partial(_timed, call) for key, call in _ready(running, images).items()}
    calls, times = interleaved(timed, generator, deadline, budget.check, most, limit)
    return _Rounds(calls, {key: np.array(found) for key, found in times.items()})


def interleaved(
    timed: Mapping[Key, Callable[[], tuple[int, ...]]],
    generator: np.random.Generator,
    deadline: float,
    pause: Callable[[], None],
    most: int = MOST_ROUNDS,
    limit: float = inf,
) -> tuple[dict[Key, int], dict[Key, list[list[tuple[int, ...]]]]]:
    """Interleaved rounds over all, in a new random order each, until the deadline (perf_counter) or `most` of them.

    `timed`: makes one call and returns its nanoseconds, the first of which decide how many calls fit in a round.
    Returns that number and, by round, what the calls returned. `pause` is called between any two, and may raise. Where
    the work would go beyond `limit` (perf_counter), fewer warm-ups and LEAST_ROUNDS are enough.
    """
    keys = list(timed)
    calls = {}
    began = time.perf_counter()
    warm_until = began + (limit - began) / 4
    for key in keys:
        pause()
        warm = [timed[key]()[0]]
        while len(warm) < WARM_UPS and time.perf_counter() < warm_until:
            warm.append(timed[key]()[0])
        calls[key] = int(np.clip(CALL_SECONDS * 1e9 / np.median(warm), *CALLS))
    found: dict[Key, list[list[tuple[int, ...]]]] = {key: [] for key in keys}
    longest = 0.0
    for done in range(most):
        began = time.perf_counter()
        if done >= FEWEST_ROUNDS and began + longest > deadline:
            break
        if done >= LEAST_ROUNDS and began + longest > limit:
            break
        for place in generator.permutation(len(keys)):
            pause()
            key = keys[place]
            times = [timed[key]() for _ in range(THROW_AWAY + calls[key])]
            found[key].append(times[THROW_AWAY:])
        longest = max(longest, time.perf_counter() - began)
    return calls, found


def _timed(call: Callable[[], object]) -> tuple[int, int]:
    """Wall and CPU nanoseconds of one call."""
    wall, cpu = time.perf_counter_ns(), _cpu_clock()
    call()
    cpu = _cpu_clock() - cpu
    return time.perf_counter_ns() - wall, cpu


@dataclass
class _Budget:
    """The time that a session may take."""

    started: float
    seconds: float
    on_progress: Callable[[float], None] | None
    last: float = 0.0

    @property
    def end(self) -> float:
        """The moment (perf_counter) at which it is spent."""
        return self.started + self.seconds

    def check(self) -> None:
        """Passes progress on, a few times a second."""
        now = time.perf_counter()
        if now - self.last < TELL_SECONDS:
            return
        self.last = now
        if self.on_progress:
            self.on_progress(min(1.0, (now - self.started) / max(self.seconds, 1e-9)))


def milliseconds(session: Mapping[str, Any], batch: int, key: str, *, openvino: bool = False) -> float:
    """CPU milliseconds of one call of one thread, the median over the rounds; quotients of these are the ratios.

    What a call takes with a core to itself, however busy the machine was. Raises KeyError for what was not timed.
    """
    return float(np.median(_times(session["openvino"] if openvino else session, batch, key)))


def at_length(session: Mapping[str, Any], length: int, key: str) -> float | None:
    """As `milliseconds` for one input of this length; None for what was not timed."""
    found = session["models"].get(key, {}).get("lengths", {}).get(str(length))
    return float(np.median(found["rounds_cpu_ms"])) if found else None


def ratio(session: Mapping[str, Any], batch: int, key: str, reference: str, *, openvino: bool = False) -> Ratio:
    """How many times faster `key` is than `reference` in this session at this batch size.

    The ratio of the medians of the rounds' CPU times, with a 95 % percentile bootstrap over the rounds, in each of
    which both ran. `openvino`: `key` in OpenVINO, the reference in ONNX Runtime all the same. Raises KeyError for what
    was not timed in the session.
    """
    return _ratio(_times(session, batch, reference), _times(session["openvino"] if openvino else session, batch, key))


def aa_band(session: Mapping[str, Any], batch: int) -> tuple[float, float]:
    """The ratios that mean nothing here: the interval of the reference against its own copy, and 1."""
    copy = tuple(session["aa"][str(batch)]["rounds_cpu_ms"])
    found = _ratio(_times(session, batch, session["reference"]), copy)
    return min(found.low, 1.0), max(found.high, 1.0)


def _times(session: Mapping[str, Any], batch: int, key: str) -> tuple[float, ...]:
    return tuple(session["models"][key]["batches"][str(batch)]["rounds_cpu_ms"])


@lru_cache(maxsize=4096)
def _ratio(slow: tuple[float, ...], fast: tuple[float, ...]) -> Ratio:
    above, below = np.array(slow), np.array(fast)
    drawn = np.random.default_rng(0).integers(len(above), size=(RESAMPLES, len(above)))
    ratios = np.median(above[drawn], axis=1) / np.median(below[drawn], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Ratio(float(np.median(above) / np.median(below)), float(low), float(high))
