"""The comparison's columns as people read them: headings with units, and cells rounded as on the page Compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcore.report import comparison, format
from kdcore.report.comparison import AT_LENGTHS, BATCH, COLUMNS, Difference, Row
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd


class Kind(NamedTuple):
    """How a value is written in a text, and its number format in Excel, where it stays exact; None: it is text."""

    write: Callable[[Any], str]
    excel: str | None


_TEXT = Kind(str, None)
_SHARE = Kind(lambda share: f"{100 * share:.1f}", "0.0%")
_COUNT = Kind(lambda count: f"{count:,}", "#,##0")
_RATE = Kind(lambda rate: f"{rate:.0f}", "#,##0")
_BYTES = Kind(lambda count: f"{count / 1000:.1f}", "#,##0")
_ONE = Kind(lambda value: f"{value:.1f}", "0.0")
_TWO = Kind(lambda value: f"{value:.2f}", "0.00")
_FOUR = Kind(lambda value: f"{value:.4f}", "0.0000")
_THREE = Kind(lambda value: f"{value:.3f}", "0.000")
_MS = Kind(lambda ms: f"{ms:.4g}", "0.0000")
_TIMES = Kind(format.times, '0.00"×"')
_POINTS = Kind(lambda share: format.signed(100 * share), "+0.0%;-0.0%;0.0%")
_DIFFERENCE = Kind(format.signed, "+0.0;-0.0;0.0")
_BITS_CHANGE = Kind(lambda value: format.signed(value, 3), "+0.000;-0.000;0.000")


class Column(NamedTuple):
    heading: str
    kind: Kind


KNOWN: dict[str, Column] = {  # COLUMNS, and what is relative to the baseline
    "run": Column("Run", _TEXT),
    "dataset": Column("Data set", _TEXT),
    "variant": Column("Variant", _TEXT),
    "stage": Column("Stage", _TEXT),
    "model_key": Column("Model", _TEXT),
    "parent": Column("Parent", _TEXT),
    "accuracy": Column("Test accuracy (%)", _SHARE),
    "accuracy_low": Column("Accuracy, low (%)", _SHARE),
    "accuracy_high": Column("Accuracy, high (%)", _SHARE),
    "map": Column("mAP (%)", _SHARE),
    "bits": Column("Bits/character", _THREE),
    "bits_low": Column("Bits, low", _THREE),
    "bits_high": Column("Bits, high", _THREE),
    "bits_interval": Column("Bits, 95 %", _TEXT),
    "score_interval": Column("95 % interval", _TEXT),
    "interval": Column("Interval over", _TEXT),
    "verdict": Column("Verdict", _TEXT),
    "parent_delta": Column("Against parent (points)", _POINTS),
    "size_bytes": Column("Size (kB)", _BYTES),
    "smaller": Column("Smaller", Kind(lambda ratio: f"{ratio:.1f}×", '0.0"×"')),
    "points": Column("Difference (points)", _DIFFERENCE),
    "bits_change": Column("Difference (bits/character)", _BITS_CHANGE),
    "latency_ms": Column("Latency, batch 1 (ms)", _MS),
    "latency_p90_ms": Column("90th percentile (ms)", _MS),
    **{name: Column(f"Latency, {tokens} tokens (ms)", _MS) for name, tokens in AT_LENGTHS.items()},
    "cuda_eager_ms": Column("GPU, eager, batch 1 (ms)", _MS),
    "cuda_graph_ms": Column("GPU, CUDA graph, batch 1 (ms)", _MS),
    "cuda_compiled_ms": Column("GPU, compiled, batch 1 (ms)", _MS),
    "openvino_ms": Column("OpenVINO, batch 1 (ms)", _MS),
    "openvino": Column("Speed-up in OpenVINO, batch 1", _TEXT),
    "openvino_speedup": Column("Speed-up in OpenVINO, teacher", _TIMES),
    "openvino_speedup_low": Column("Speed-up in OpenVINO, low", _TIMES),
    "openvino_speedup_high": Column("Speed-up in OpenVINO, high", _TIMES),
    "openvino_images_per_s": Column(f"OpenVINO, examples/s, batch {BATCH}", _RATE),
    "openvino_agreement": Column("Agreement in OpenVINO (%)", _SHARE),
    "faster": Column("Speed-up, batch 1", _TEXT),
    "images_per_s": Column(f"Examples/s, batch {BATCH}", _RATE),
    "throughput": Column(f"Speed-up, batch {BATCH}", _TEXT),
    "params": Column("Parameters", _COUNT),
    "trainable_params": Column("Trainable parameters", _COUNT),
    "nonzero_params": Column("Nonzero parameters", _COUNT),
    "sparsity": Column("Zeros (%)", _SHARE),
    "macs": Column("MACs", _COUNT),
    "agreement": Column("Agreement (%)", _SHARE),
    "top5": Column("Top 5 (%)", _SHARE),
    "macro_precision": Column("Macro precision (%)", _SHARE),
    "macro_recall": Column("Macro recall (%)", _SHARE),
    "macro_f1": Column("Macro F1 (%)", _SHARE),
    "ece": Column("ECE (%)", _SHARE),
    "temperature": Column("T", _TWO),
    "ece_scaled": Column("ECE at T (%)", _SHARE),
    "kl": Column("KL (nats)", _FOUR),
    "logit_error": Column("Logit error (%)", _SHARE),
    "corrupted_accuracy": Column("Corrupted (%)", _SHARE),
    "membership_auc": Column("Membership AUC", _TWO),
    "membership_low": Column("AUC, low", _TWO),
    "membership_high": Column("AUC, high", _TWO),
    "membership_interval": Column("AUC, 95 %", _TEXT),
    "zip_bytes": Column("Zipped (kB)", _BYTES),
    "coded_bytes": Column("Coded (kB)", _BYTES),
    "session": Column("Timing session", _TEXT),
    "speedup": Column("Speed-up, teacher", _TIMES),
    "speedup_low": Column("Speed-up, low", _TIMES),
    "speedup_high": Column("Speed-up, high", _TIMES),
    "throughput_gain": Column("Throughput gain, teacher", _TIMES),
    "throughput_gain_low": Column("Throughput gain, low", _TIMES),
    "throughput_gain_high": Column("Throughput gain, high", _TIMES),
    "peak_memory_mb": Column("Peak memory (MB)", _ONE),
    "train_seconds": Column("Training (s)", _ONE),
    "seeds": Column("Seeds", _COUNT),
}
RELIABILITY = (  # on the page when they are asked for
    "ece", "temperature", "ece_scaled", "kl", "logit_error", "corrupted_accuracy", "membership_auc",
    "membership_interval",
)  # fmt: skip
USUAL = (
    "run", "variant", "bits", "bits_interval", "accuracy", "map", "score_interval", "verdict", "size_bytes", "smaller",
    "points", "bits_change", "latency_ms", *AT_LENGTHS, "cuda_eager_ms", "cuda_graph_ms", "cuda_compiled_ms", "faster",
    "images_per_s", "throughput", "openvino_ms", "openvino", "openvino_agreement", "params", "trainable_params",
    "sparsity", "agreement", "seeds",
)  # fmt: skip


class Rounded(NamedTuple):
    """The table as text, and the headings of its columns of numbers."""

    table: pd.DataFrame
    numbers: frozenset[str]


def unknown(names: Sequence[str], exact: bool = False) -> str:
    """What is wrong with the first of these columns that there is not, in words; `exact`: for COLUMNS alone."""
    known = COLUMNS if exact else tuple(KNOWN)
    wrong = next((name for name in names if name not in known), None)
    return "" if wrong is None else f"there is no column {wrong!r}; there are: {', '.join(known)}"


def usual(rows: Sequence[Row], *, reliability: bool = False) -> list[str]:
    """The columns that the page shows of these rows: most have nothing to say of many runs."""
    several = len({row["run"] for row in rows}) > 1
    spare = {name: name for name in USUAL if name == "map" or name.startswith(("cuda_", "openvino_"))}
    spare |= {name: name for name in ("bits", "trainable_params", *AT_LENGTHS)} | {
        "bits_interval": "bits",
        "bits_change": "bits",
        "openvino": "openvino_ms",
    }
    kept = [name for name in USUAL if name not in spare or any(row[spare[name]] is not None for row in rows)]
    if rows and all(row["bits"] is not None for row in rows):
        kept.remove("points")
    more = RELIABILITY if reliability else ()
    return [*(name for name in kept if several or name != "run"), *more]


def rounded(
    workspace: Workspace, rows: Sequence[Row], baseline: Row | None = None, columns: Sequence[str] | None = None
) -> Rounded:
    """These rows with the chosen columns, by default the usual ones; `baseline` is one of them, by default the first.

    Raises ValueError for an unknown column.
    """
    import pandas as pd

    chosen = usual(rows) if columns is None else list(dict.fromkeys(columns))
    if wrong := unknown(chosen):
        raise ValueError(wrong)
    against = comparison.differences(workspace, rows, baseline or rows[0]) if rows else []
    names = run_names(workspace, dict.fromkeys(row["run"] for row in rows))
    values = [_values(*pair, names, baseline or rows[0]) for pair in zip(rows, against, strict=True)]
    cells = {KNOWN[name].heading: [_cell(name, row[name]) for row in values] for name in chosen}
    numbers = (KNOWN[name].heading for name in chosen if KNOWN[name].kind.excel)
    return Rounded(pd.DataFrame(cells), frozenset(numbers))


def run_names(workspace: Workspace, run_ids: Mapping[str, Any] | Sequence[str]) -> dict[str, str]:
    """By id; runs of one name with their id."""
    named = {run_id: shapes.meta(workspace.run(run_id))["name"] for run_id in run_ids}
    often = Counter(named.values())
    return {run_id: name if often[name] == 1 else f"{name} ({run_id})" for run_id, name in named.items()}


def _cell(name: str, value: Any) -> str:
    return format.MISSING if value in (None, "") else KNOWN[name].kind.write(value)


def _values(row: Row, one: Difference, names: Mapping[str, str], baseline: Row) -> Row:
    """The row with what is relative to the baseline, and with words in place of terms."""
    itself = (one.run, one.variant) == (baseline["run"], baseline["variant"])
    return row | {
        "run": names[row["run"]],
        "verdict": row["judged"],
        "score_interval": format.percent_bounds(row["score_low"], row["score_high"]),
        "bits_interval": format.bits_bounds(row["bits_low"], row["bits_high"]),
        "membership_interval": _bounds(row["membership_low"], row["membership_high"]),
        "smaller": one.smaller,
        "points": one.points,
        "bits_change": one.bits,
        "faster": "baseline" if itself else _speed(one.faster),
        "throughput": "baseline" if itself else _speed(one.throughput),
        "openvino": _speed(one.openvino),
    }


def _bounds(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _speed(found: Any) -> str:
    return "" if found is None else format.times(found.value) if found.differs else "no difference"
