"""The comparison: one row a variant, the same numbers on every page, in every file and on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcore.inputs.text import LENGTHS
from kdcore.measure import timing
from kdcore.report import format, robustness, sessions
from kdcore.report import verdicts as judged
from kdcore.report.fidelity import Fidelity, fidelity
from kdcore.report.hidden import Recalled, recalls
from kdcore.report.membership import Membership, memberships
from kdcore.report.quality import Quality
from kdcore.report.reading import MeasuredVariant, Model, RunFiles
from kdcore.report.sessions import Session, Speed, openvino_speed, speed
from kdcore.report.statistics import Interval, t_interval, wilson
from kdcore.report.verdicts import Verdict
from kdcore.workspace.state import state
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

AT_LENGTHS = {f"latency_{length}_ms": length for length in LENGTHS}  # tokens of a text
COLUMNS = (
    "run", "dataset", "variant", "stage", "model_key", "parent", "accuracy", "accuracy_low", "accuracy_high",
    "interval", "parent_delta", "top5", "map", "bits", "bits_low", "bits_high",
    "macro_precision", "macro_recall", "macro_f1", "ece",
    "temperature", "ece_scaled", "agreement", "kl", "logit_error", "membership_auc", "membership_low",
    "membership_high", "corrupted_accuracy", "params", "trainable_params", "nonzero_params", "sparsity", "macs",
    "size_bytes", "zip_bytes", "coded_bytes", "session", "latency_ms",
    "latency_p90_ms", *AT_LENGTHS, "cuda_eager_ms", "cuda_graph_ms", "cuda_compiled_ms",
    "openvino_ms", "openvino_speedup", "openvino_speedup_low", "openvino_speedup_high", "openvino_images_per_s",
    "openvino_agreement",
    "speedup", "speedup_low", "speedup_high", "images_per_s", "throughput_gain",
    "throughput_gain_low", "throughput_gain_high", "peak_memory_mb", "train_seconds", "seeds", "verdict",
)  # fmt: skip
WHOLE = ("params", "trainable_params", "nonzero_params", "macs", "size_bytes", "zip_bytes", "coded_bytes", "seeds")
QUALITY = ("top5", "map", "macro_precision", "macro_recall", "macro_f1", "ece")
CALIBRATION = ("temperature", "ece_scaled")
BATCH = 64  # of the throughput columns; latency is at batch 1

Row = dict[str, Any]


class Difference(NamedTuple):
    """A row against a chosen baseline: how many times smaller and faster, and how many points of `score`; of language
    models how many `bits` per character instead.

    `faster` is at batch 1, `throughput` at batch 64; `openvino`: the row in OpenVINO at batch 1, the baseline in ONNX
    Runtime. None where the two were not timed in one session. `smaller`,
    `points` and `bits` are None where one of the two has no file, or no score, or where they are judged by different
    things.
    """

    run: str
    variant: str
    smaller: float | None
    points: float | None
    faster: Speed | None
    throughput: Speed | None
    openvino: Speed | None = None
    bits: float | None = None


def rows(workspace: Workspace, run_ids: Iterable[str], session: str | None = None) -> list[Row]:
    """The finished variants of these runs: each row has COLUMNS, and what pages need beside them.

    Shares and differences of shares are fractions (`accuracy`, `parent_delta`, `ece`, `sparsity` …), sizes bytes,
    memory megabytes, None what was not measured. Quality and training time are means over the seeds; agreement, `kl`
    and `logit_error` (see `kdcore.report.fidelity`), membership, size, cost and times are those of the first seed's
    file, which is the one in `model_key`.

    `latency_ms` (batch 1) and `images_per_s` (batch 64) are of one thread's CPU time, as the ratios are: medians over
    the rounds, whose quotients are `speedup` and `throughput_gain`. `latency_p90_ms` is of wall time. `latency_16_ms`
    and `latency_64_ms` are of texts of so many tokens, `latency_ms` of the data's median length. `openvino_ms` (batch
    1) and `openvino_images_per_s` (batch 64) are the same in OpenVINO, `openvino_speedup` is against the teacher in
    ONNX Runtime, `openvino_agreement` the share of test images that get ONNX Runtime's answer there.

    `temperature` is fitted on validation by maximum likelihood, `ece_scaled` is the calibration error with the logits
    divided by it. `membership_auc` with its 95 % interval: how well a loss threshold finds training images.
    `corrupted_accuracy`: the mean over five corruptions at five severities, of the first seed's file; mAP where images
    have several labels.

    Where images have several labels, `accuracy` is the share of images whose whole label set is right, `agreement` that
    of the single decisions, and `map`, which is None elsewhere, the mean average precision.

    `bits`, of language models alone: bits a character with their 95 % interval, which verdicts are then about.

    A teacher that is only a file of soft labels has no size and no times, so `speedup` is None in all rows; without
    answers about the test images it has no accuracy either.

    Beside COLUMNS: `measure`, what verdicts, `parent_delta` and `score` are about, "accuracy", or "mAP" where images
    have several labels; `score`, `score_low`, `score_high`, its value and 95 % interval; `quality`, what charts show:
    the score, of language models bits a character, None without either; `judged`, the verdict in words with its
    reference ("" without one); `against`, that reference ("" where the row is not judged); `role`, `values` (of a
    sweep), `note` (what the step does not do), `latency_note` (what keeps latencies from being compared), `busy`
    (whether the machine was while it was timed), `speedup_differs` and `throughput_differs` (False: no difference that
    the machine can measure).

    `session` is the timing session's id; without it the newest is taken that timed all of them together.
    Raises UnknownRun, and LookupError for a session that is not there.
    """
    runs = [RunFiles(workspace, run_id) for run_id in run_ids]
    if session is None:
        timed = sessions.choose_session(workspace, runs)
    else:
        timed = dict.fromkeys((run.id for run in runs), sessions.named_session(workspace, session))
    apart = len({found["id"] for found in timed.values() if found}) > 1
    return [row for run in runs for row in _rows(run, timed[run.id], apart)]


def damages(workspace: Workspace, run_ids: Iterable[str]) -> list[str]:
    """A line for each model of these runs whose files are damaged: its row, or its seed, is left out of `rows`."""
    return [line for run_id in run_ids for line in RunFiles(workspace, run_id).damages]


def table(workspace: Workspace, run_ids: Iterable[str], session: str | None = None) -> pd.DataFrame:
    """`rows` as a DataFrame of COLUMNS; whole numbers stay whole beside missing ones."""
    import pandas as pd

    found = pd.DataFrame(rows(workspace, run_ids, session), columns=list(COLUMNS))
    return found.astype({name: "Int64" for name in WHOLE if found[name].isna().any()})


def verdicts(workspace: Workspace, run_id: str) -> list[Verdict]:
    """What the run shows, and whether it shows it. Raises UnknownRun."""
    return judged.verdicts(RunFiles(workspace, run_id))


def hidden(workspace: Workspace, run_id: str) -> list[Recalled]:
    """How often the run's students recognise a class that they never saw. Raises UnknownRun."""
    return recalls(RunFiles(workspace, run_id))


def document(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """A run as one JSON document, as `run --json` and `show --json` print it. Raises UnknownRun."""
    return documents(workspace, [run_id])["runs"][0]


def documents(
    workspace: Workspace, run_ids: Sequence[str], baseline: Row | None = None, session: str | None = None
) -> dict[str, Any]:
    """Several runs as one JSON document, as `compare --json` prints it. `baseline` is one of their rows."""
    compared = rows(workspace, run_ids, session)
    return {
        "runs": [_document(workspace, run_id, compared) for run_id in run_ids],
        "baseline": {"run": baseline["run"], "variant": baseline["variant"]} if baseline else None,
    }


def _document(workspace: Workspace, run_id: str, compared: Sequence[Row]) -> dict[str, Any]:
    run = RunFiles(workspace, run_id)
    return {
        "run": run_id,
        "state": state(workspace.run(run_id)),
        "recipe": run.recipe,
        "environment": run.result.get("environment", {}),
        "stages": run.result.get("stages", []),
        "variants": [{name: row[name] for name in COLUMNS} for row in compared if row["run"] == run_id],
        "verdicts": [verdict._asdict() for verdict in judged.verdicts(run)],
        "hidden": [recalled._asdict() for recalled in hidden(workspace, run_id)],
        "damaged": run.damages,
        "error": run.result.get("error"),
    }


def summary(workspace: Workspace, run_id: str) -> dict[str, Any]:
    """The run's last variant against its teacher: `variant`, `accuracy`, `measure` and `score`, `bits` per character of
    a language model, `smaller` (times, in bytes) and `faster` (times, throughput at batch 64), whether that `differs`
    measurably and was timed on a `busy` machine. Empty for a run without finished variants."""
    found = rows(workspace, [run_id])
    if not found:
        return {}
    last = found[-1]
    teacher = next((row for row in found if row["role"] == "teacher"), None)
    return {
        "variant": last["variant"],
        **{name: last[name] for name in ("accuracy", "measure", "score", "bits")},
        "smaller": _ratio(teacher["size_bytes"], last["size_bytes"]) if teacher else None,
        "faster": last["throughput_gain"],
        "differs": last["throughput_differs"],
        "busy": last["busy"],
    }


def differences(workspace: Workspace, compared: Sequence[Row], baseline: Row) -> list[Difference]:
    """Each row against `baseline`, which is one of them. Speeds are of the session that the row was timed in."""
    timed = {name: sessions.named_session(workspace, name) for name in {row["session"] for row in compared} if name}
    return [_against(row, baseline, timed.get(row["session"])) for row in compared]


def _against(row: Row, baseline: Row, session: Session | None) -> Difference:
    keys = row["model_key"], baseline["model_key"]
    own, other = row["quality"], baseline["quality"]
    change = own.drawn - other.drawn if own and other and own.measure == other.measure else None
    in_bits = own is not None and own.measure == "bits"
    return Difference(
        run=row["run"],
        variant=row["variant"],
        smaller=_ratio(baseline["size_bytes"], row["size_bytes"]),
        points=None if in_bits else change,
        faster=speed(session, 1, *keys),
        throughput=speed(session, BATCH, *keys),
        openvino=openvino_speed(session, 1, *keys),
        bits=change if in_bits else None,
    )


def _ratio(whole: float | None, part: float | None) -> float | None:
    return whole / part if whole and part else None


def _rows(run: RunFiles, session: Session | None, apart: bool) -> list[Row]:
    verdict_of = judged.own(judged.verdicts(run))
    return [
        _row(run, variant, session, apart, verdict_of.get(variant.name), known)
        for variant, known in zip(run.variants, memberships(run), strict=True)
    ]


def _row(
    run: RunFiles,
    variant: MeasuredVariant,
    session: Session | None,
    apart: bool,
    verdict: Verdict | None,
    known: Membership,
) -> Row:
    first = variant.first
    return {
        "run": run.id,
        "dataset": run.plan.dataset["name"],
        "variant": variant.name,
        "stage": variant.stage,
        "model_key": first.key,
        "parent": variant.parent,
        **_accuracy(variant),
        "parent_delta": _parent_delta(run, variant),
        **_quality(variant),
        **_bits(variant),
        "agreement": _agreement(first, variant.teacher),
        **_fidelity(run, variant),
        "membership_auc": known.auc,
        "membership_low": known.low,
        "membership_high": known.high,
        "corrupted_accuracy": robustness.corrupted(run.workspace, first.key),
        **{name: first.cost.get(name) for name in ("params", "nonzero_params", "sparsity", "macs")},
        "trainable_params": first.trainable,
        **{name: first.size.get(name) for name in ("size_bytes", "zip_bytes", "coded_bytes")},
        **_timing(variant, session),
        "train_seconds": fmean(model.train_seconds for model in variant.finished),
        "seeds": len(variant.finished),
        "verdict": verdict.verdict if verdict else None,
        "judged": verdict.short if verdict else "",
        "against": verdict.against if verdict and verdict.low is not None else "",
        **_score(variant),
        "role": variant.role,
        "values": variant.values,
        "note": variant.note,
        "latency_note": sessions.note(session, apart),
        "busy": bool(session and session["noisy"]),
    }


def _quality(variant: MeasuredVariant) -> Row:
    """Means over the seeds; None where they are unknown, as for a teacher without test images."""
    columns: dict[str, list[Any]] = {name: [model.quality.get(name) for model in variant.finished] for name in QUALITY}
    for name in CALIBRATION:
        columns[name] = [_calibrated(model, name) for model in variant.finished]
    return {name: None if None in values else fmean(values) for name, values in columns.items()}


def _calibrated(model: Model, name: str) -> float | None:
    found = model.quality.get("calibration", {})
    return found.get("temperature") if name == "temperature" else (found.get("scaled") or {}).get("ece")


def _fidelity(run: RunFiles, variant: MeasuredVariant) -> Row:
    first, teacher = variant.first, variant.teacher
    several = first.measure == "mAP"
    found = fidelity(run.workspace, first.key, teacher.key, several=several) if teacher else None
    return dict(zip(Fidelity._fields, found or (None, None), strict=True))


def _agreement(model: Model, teacher: Model | None) -> float | None:
    """Share of the test images that are given the teacher's class; of several labels, of the decisions that are its."""
    if teacher is None or not len(teacher.answers):
        return None
    return float((model.answers == teacher.answers).mean())


def _accuracy(variant: MeasuredVariant) -> Row:
    if not variant.first.quality:
        return dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "interval"))
    found = [model.accuracy for model in variant.finished]
    n = variant.first.quality["n"]
    if len(found) > 1:
        interval, basis = t_interval(found, resolution=1 / n), f"t, {format.plural(len(found), 'seed')}"
    elif documents := variant.first.quality.get("documents"):
        interval = Interval(found[0], *variant.first.quality["accuracy_interval"])
        basis = f"bootstrap, {documents} documents"
    else:
        interval, basis = wilson(variant.first.quality["correct"], n), f"Wilson, n={n}"
    value, low, high = _within(interval)
    return {"accuracy": value, "accuracy_low": low, "accuracy_high": high, "interval": basis}


def _score(variant: MeasuredVariant) -> Row:
    """What the row is judged by: its accuracy, or the mean average precision, over the seeds or over the images."""
    measure = variant.first.measure
    if measure == "accuracy":
        accuracy = _accuracy(variant)
        bounds = accuracy["accuracy"], accuracy["accuracy_low"], accuracy["accuracy_high"]
    else:
        found = [model.score for model in variant.finished]
        several = len(found) > 1
        interval = t_interval(found, resolution=1 / variant.first.quality["n"]) if several else _over_images(variant)
        bounds = _within(interval)
    return {
        "measure": measure,
        **dict(zip(("score", "score_low", "score_high"), bounds, strict=True)),
        "quality": _judged(variant, Quality(measure, *bounds)),
    }


def _judged(variant: MeasuredVariant, score: Quality) -> Quality | None:
    """What verdicts and charts are about: the score, or where verdicts are about bits those."""
    if variant.first.quality and variant.first.judged_by == "bits":
        return Quality("bits", *_bits(variant).values())
    return None if score.value is None else score


def _over_images(variant: MeasuredVariant) -> Interval:
    return Interval(variant.first.score, *variant.first.quality["map_interval"])


def _bits(variant: MeasuredVariant) -> Row:
    """Bits a character, of language models: over the seeds, or over the documents for one."""
    if "bits" not in variant.first.quality:
        return dict.fromkeys(("bits", "bits_low", "bits_high"))
    found = [model.quality["bits"] for model in variant.finished]
    value, low, high = t_interval(found)
    if len(found) == 1:
        low, high = variant.first.quality["bits_interval"]
    return {"bits": value, "bits_low": low, "bits_high": high}


def _within(interval: Interval) -> tuple[float, float, float]:
    value, low, high = interval
    assert low is not None
    assert high is not None
    return value, max(0.0, low), min(1.0, high)


def _parent_delta(run: RunFiles, variant: MeasuredVariant) -> float | None:
    """Of the deployed file against the file that it came from: the first seed's, never the mean."""
    parent = next((one for one in run.variants if one.name == variant.parent), None)
    return variant.first.score - parent.first.score if parent else None


def _timing(variant: MeasuredVariant, session: Session | None) -> Row:
    key = variant.first.key
    timed: Mapping[str, Any] = session["models"].get(key, {}) if session else {}
    batches = timed.get("batches", {})
    single, batch = batches.get("1", {}), batches.get(str(BATCH), {})
    teacher = variant.teacher.key if variant.teacher else ""
    return {
        "session": session["id"] if session and timed else None,
        "latency_ms": timing.milliseconds(session, 1, key) if session and single else None,
        "latency_p90_ms": single.get("wall_p90_ms"),
        **{name: timing.at_length(session, length, key) if session else None for name, length in AT_LENGTHS.items()},
        **{f"cuda_{mode}_ms": value for mode, value in sessions.on_gpu(session, key).items()},
        **_openvino(session, key, teacher),
        **_gain("speedup", speed(session, 1, key, teacher)),
        "images_per_s": 1000 * BATCH / timing.milliseconds(session, BATCH, key) if session and batch else None,
        **_gain("throughput_gain", speed(session, BATCH, key, teacher)),
        "peak_memory_mb": timed.get("peak_memory_mb"),
    }


def _openvino(session: Session | None, key: str, teacher: str) -> Row:
    found = sessions.in_openvino(session, key)
    ms = {
        int(batch): timing.milliseconds(session or {}, int(batch), key, openvino=True)
        for batch in found.get("batches", {})
    }
    gain = _gain("openvino_speedup", openvino_speed(session, 1, key, teacher))
    return gain | {
        "openvino_ms": ms.get(1),
        "openvino_images_per_s": 1000 * BATCH / ms[BATCH] if BATCH in ms else None,
        "openvino_agreement": found.get("agreement"),
    }


def _gain(name: str, found: Speed | None) -> Row:
    value, low, high, differs = found or (None, None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high, f"{name.removesuffix('_gain')}_differs": differs}
