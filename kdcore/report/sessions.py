"""Which timing session a comparison is read from, and how much faster a model is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

from kdcore.files import Damaged, read_json
from kdcore.measure import timing
from kdcore.report import format
from kdcore.report.reading import RunFiles
from kdcore.workspace.workspace import Workspace

Session = dict[str, Any]  # the document that kdcore.measure.timing made

GPU_MODES = ("eager", "graph", "compiled")
LEAST_TURN = 1.02  # times faster; nobody need know of less
NO_DIFFERENCE = "No measurable difference"
APART = "timed in different sessions, so these times are not comparable: measure the runs together"
NOISY = "timed while the machine was busy"


class Speed(NamedTuple):
    """How many times faster, with its 95 % interval; above 1 is faster.

    `differs` is False when the interval overlaps what the session shows between two copies of one file (A/A).
    """

    value: float
    low: float
    high: float
    differs: bool

    @property
    def words(self) -> str:
        """2.3× (2.2× to 2.4×), or that there is no difference."""
        if not self.differs:
            return NO_DIFFERENCE
        return f"{format.times(self.value)} ({format.times(self.low)} to {format.times(self.high)})"


def speed(session: Session | None, batch: int, key: str, reference: str) -> Speed | None:
    """How many times faster `key` is than `reference` in this session; None unless both were timed in it, in batches of
    this size.
    """
    if session is None or not {key, reference} <= session["models"].keys():
        return None
    if key == reference:
        return Speed(1.0, 1.0, 1.0, False)
    if str(batch) not in session["aa"]:
        return None
    return _judged(session, batch, timing.ratio(session, batch, key, reference))


def _judged(session: Session, batch: int, ratio: timing.Ratio) -> Speed:
    low, high = timing.aa_band(session, batch)
    return Speed(ratio.value, ratio.low, ratio.high, not (ratio.low <= high and low <= ratio.high))


def in_openvino(session: Session | None, key: str) -> dict[str, Any]:
    """What was measured of a model in OpenVINO; empty where nothing was.

    `batches` by size, and `agreement`, the share of `images` test images that get the same answer as in ONNX Runtime.
    """
    found: dict[str, Any] = (session or {}).get("openvino", {}).get("models", {}).get(key, {})
    return found


def openvino_speed(session: Session | None, batch: int, key: str, reference: str) -> Speed | None:
    """How many times faster `key` in OpenVINO is than `reference` in ONNX Runtime, in one session; None unless both
    were timed."""
    if session is None or str(batch) not in in_openvino(session, key).get("batches", {}):
        return None
    if str(batch) not in session["models"].get(reference, {}).get("batches", {}):
        return None
    return _judged(session, batch, timing.ratio(session, batch, key, reference, openvino=True))


def turned(session: Session, names: Mapping[str, str]) -> str:
    """Where one model is faster than another at batch size 1 and slower at 64, a sentence that says so; else nothing.

    `names`: of the models, by key. Differences within the noise do not count; of several pairs it is the one that
    turns most.
    """
    single, many = timing.BATCHES
    for first, last in _turning(session, list(names)):
        ahead, behind = speed(session, single, first, last), speed(session, many, last, first)
        if ahead and behind and ahead.differs and behind.differs:
            return (
                f"The order changes with the batch size: {names[first]} is {format.times(ahead.value)} as fast as "
                f"{names[last]} (batch {single}), but {names[last]} is {format.times(behind.value)} as fast as "
                f"{names[first]} (batch {many})."
            )
    return ""


def _turning(session: Session, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of which the first is faster at batch size 1 and the other at 64, those that turn most first."""
    batches = timing.BATCHES
    timed = [key for key in keys if {str(batch) for batch in batches} <= _batches(session, key)]
    times = {key: [timing.milliseconds(session, batch, key) for batch in batches] for key in timed}
    ahead = {
        (first, last): min(times[last][0] / times[first][0], times[first][1] / times[last][1])
        for first, last in permutations(timed, 2)
    }
    return sorted((pair for pair, factor in ahead.items() if factor > LEAST_TURN), key=lambda pair: -ahead[pair])


def _batches(session: Session, key: str) -> set[str]:
    return set(session["models"].get(key, {}).get("batches", {}))


def choose_session(workspace: Workspace, runs: Sequence[RunFiles]) -> dict[str, Session | None]:
    """The session of each run, by run id: the newest one that timed all of them together where there is one.

    Else each run gets its own newest, and their latencies cannot be compared. A run that no session
    covers whole gets the newest with its teacher, or None.
    """
    together = _covering(workspace, [key for run in runs for key in run.keys])
    if together:
        return {run.id: together for run in runs}
    return {run.id: _covering(workspace, run.keys) or _covering(workspace, run.keys[:1]) for run in runs}


def named_session(workspace: Workspace, session_id: str) -> Session:
    """The session of this id. Raises LookupError."""
    found = next((known for known in newest_first(workspace) if known["id"] == session_id), None)
    if found is None:
        raise LookupError(f"there is no timing session {session_id!r} in {workspace.root}")
    return found


def on_gpu(session: Session | None, key: str) -> dict[str, float | None]:
    """Milliseconds of one image on the GPU, in fp32, by mode (eager, graph, compiled); None for what was not measured.

    The document is that of `kdcore.measure.cuda`.
    """
    models = (session or {}).get("cuda", {}).get("models", {})
    found = models.get(key, {}).get("batches", {}).get("1", {}).get("fp32", {})
    return {mode: found.get(mode, {}).get("ms") for mode in GPU_MODES}


def gpu_note(session: Session, names: Mapping[str, str]) -> str:
    """What must be said of the times on the GPU, in a few sentences; empty where there are none. `names`: by key."""
    cuda = session.get("cuda")
    if not cuda:
        return ""
    if "device" not in cuda:
        return f"No GPU timings: {cuda['reason']}."
    rounded = " (convolutions may use TF32)" if cuda["tf32"] else ""
    why: dict[str, list[str]] = {}
    for key, name in names.items():
        found = cuda["models"].get(key, {})
        modes = found.get("batches", {}).get("1", {}).get("fp32", {})
        for label, one in {"": found, **{f", {mode}": one for mode, one in modes.items()}}.items():
            if "reason" in one:
                why.setdefault(one["reason"], []).append(f"{name}{label}")
    parts = [f"On {cuda['device']}: batch size 1, fp32{rounded}, medians by CUDA events, all networks interleaved"]
    return ". ".join([*parts, *(f"{', '.join(which)}: {reason}" for reason, which in why.items())]) + "."


def openvino_note(session: Session, names: Mapping[str, str]) -> str:
    """What must be said of the times in OpenVINO; empty where there are none. `names`: by key."""
    beside = session.get("openvino")
    if not beside:
        return ""
    if "version" not in beside:
        return f"Not timed in OpenVINO: {beside['reason']}."
    found = {names[key]: one for key, one in beside["models"].items() if key in names}
    images = {one["images"] for one in found.values() if "images" in one}
    parts = [
        f"OpenVINO {beside['version']}: the same files, interleaved in this session on one thread; speed-ups are "
        "relative to the baseline in ONNX Runtime",
        *(
            f"its agreement with ONNX Runtime is over {format.plural(count, 'test example')}"
            for count in sorted(images)
        ),
        *(f"{name}: {one['reason']}" for name, one in found.items() if "reason" in one),
    ]
    return ". ".join(f"{part[:1].upper()}{part[1:]}" for part in parts) + "."


def note(session: Session | None, apart: bool) -> str:
    """What must be said beside the latencies of a row; empty when nothing."""
    if session is None:
        return ""
    return "; ".join([APART] * apart + [NOISY] * bool(session["noisy"]) + list(session.get("left_out", {}).values()))


def _covering(workspace: Workspace, keys: Sequence[str]) -> Session | None:
    """The newest session that timed all of these models."""
    wanted = set(keys)
    found = (session for session in newest_first(workspace) if wanted <= session["models"].keys())
    return next(found, None) if wanted else None


def newest_first(workspace: Workspace) -> Iterator[Session]:
    """All timing sessions; one that cannot be read is passed over."""
    if not workspace.sessions.is_dir():
        return
    for path in sorted(workspace.sessions.glob("*.json"), reverse=True):  # ids begin with their time
        try:
            yield _session(path, path.stat().st_mtime_ns)
        except (Damaged, FileNotFoundError):
            continue


@lru_cache(maxsize=512)
def _session(path: Path, _written: int) -> Session:
    return read_json(path)
