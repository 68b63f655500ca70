"""One row of the published CIFAR-100 tables, trained here: `python -m benchmarks.reproduce PAIR METHOD [--write]`.

The Recipe is the preset `reproduce-the-paper` with the pair's networks and the method's published options. Its
teacher and its student alone are trained (once) with every method of a pair, and are rows of their own. Without a
GPU the same Recipe is cut down, and its rows say so: they show that the whole path works, not that the paper holds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results import publish, table
from benchmarks.runs import carry_out
from kdcore import machine
from kdcore.presets import preset
from kdcore.recipe import Recipe, override, parse
from kdcore.report import comparison, format

KEPT = Path(__file__).parent.parent / "docs" / "reproduced.json"
CUT = {"data.source.classes": 20, "teacher.train.epochs": 12, "train.epochs": 12}


class Pair(NamedTuple):
    """Two architectures, and the peak learning rate of the student's published recipe."""

    teacher: dict[str, Any]
    student: dict[str, Any]
    learning_rate: float = 0.05


def resnet(depth: int, width: int = 1) -> dict[str, Any]:
    return {"architecture": "resnet", "depth": depth, "width": width}


PAIRS = {
    "resnet32x4-resnet8x4": Pair(resnet(32, 4), resnet(8, 4)),
    "wrn40x2-wrn16x2": Pair(
        {"architecture": "wrn", "depth": 40, "width": 2}, {"architecture": "wrn", "depth": 16, "width": 2}
    ),
    "resnet56-resnet20": Pair(resnet(56), resnet(20)),
    "vgg13-vgg8": Pair({"architecture": "vgg", "depth": 13}, {"architecture": "vgg", "depth": 8}),
}
CUT_PAIR = Pair(resnet(20), resnet(8))

METHODS: dict[str, dict[str, Any]] = {
    "kd": {"method": "kd", "temperature": 4, "hard_weight": 0.1, "soft_weight": 0.9},
    "crd": {"method": "crd"},
    "dkd": {"method": "dkd", "temperature": 4, "target_weight": 1, "other_weight": 8, "warmup": 20 / 240},
    "dist": {"method": "dist"},
    "kd-standardized": {
        "method": "kd", "temperature": 2, "hard_weight": 0.1, "soft_weight": 9, "standardize": True,
    },
}  # fmt: skip

# Test accuracy in %, as printed in the papers (CIFAR-100, 240 epochs).
PUBLISHED = {
    "resnet32x4-resnet8x4": {
        "teacher": 79.42, "student alone": 72.50, "kd": 73.33, "crd": 75.51, "dist": 76.31, "dkd": 76.32,
        "kd-standardized": 76.62,
    },
    "wrn40x2-wrn16x2": {
        "teacher": 75.61, "student alone": 73.26, "kd": 74.92, "crd": 75.48, "dist": 75.51, "dkd": 76.23,
        "kd-standardized": 76.11,
    },
    "resnet56-resnet20": {
        "teacher": 72.34, "student alone": 69.06, "kd": 70.66, "crd": 71.16, "dist": 71.75, "dkd": 71.97,
        "kd-standardized": 71.43,
    },
    "vgg13-vgg8": {
        "teacher": 74.64, "student alone": 70.36, "kd": 72.98, "crd": 73.94, "dist": 73.89, "dkd": 74.68,
        "kd-standardized": 74.36,
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", choices=list(PAIRS))
    parser.add_argument("method", choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=1, help="students of each kind")
    parser.add_argument("--whole", action="store_true", help="the published recipe although there is no GPU")
    parser.add_argument("--write", action="store_true", help="put the table into docs/results.md")
    chosen = parser.parse_args()
    cut = not (machine.gpus() or chosen.whole)
    rows = measured(recipe(chosen.pair, chosen.method, cut, chosen.seeds), chosen.pair, chosen.method, cut)
    publish("Reproduction", "python -m benchmarks.reproduce PAIR METHOD", report(_keep(rows, chosen.write)))


def recipe(pair: str, method: str, cut: bool, seeds: int) -> Recipe:
    """The published Recipe of a pair and a method, or what is left of it on a machine without a GPU."""
    networks = CUT_PAIR if cut else PAIRS[pair]
    changes: dict[str, Any] = {
        "name": f"{pair}, {method}{' (cut down)' if cut else ''}",
        "teacher.model": networks.teacher,
        "student.model": networks.student,
        "train.learning_rate": networks.learning_rate,
        "distill": METHODS[method],
        "seeds": list(range(seeds)),
        **(CUT if cut else {}),
    }
    document = preset("reproduce-the-paper").recipe.document()
    return parse(override(document, [f"{path}={json.dumps(value)}" for path, value in changes.items()]))


def measured(asked: Recipe, pair: str, method: str, cut: bool) -> list[dict[str, Any]]:
    """Carries the Recipe out and returns a row of the table for the teacher, the student and the method."""
    workspace, run_id = carry_out(asked)
    made = comparison.rows(workspace, [run_id])
    names = {"teacher": "teacher", "alone": "student alone", "distilled": method}
    return [
        {
            "pair": pair,
            "method": names[role],
            "cut": cut,
            "accuracy": variant["accuracy"],
            "low": variant["accuracy_low"],
            "high": variant["accuracy_high"],
            "seeds": variant["seeds"],
            "epochs": asked.train.epochs if role != "teacher" else asked.teacher.train.epochs,
            "seconds": variant["train_seconds"],
            "hardware": machine.describe()["summary"],
        }
        for variant, role in zip(made, names, strict=True)
    ]


def _keep(rows: list[dict[str, Any]], write: bool) -> list[dict[str, Any]]:
    """These rows among those of earlier runs, each in the place of its predecessor."""

    def name(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["cut"], row["pair"], row["method"]

    known = {name(row): row for row in (json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else [])}
    known |= {name(row): row for row in rows}
    if write:
        KEPT.write_text(json.dumps(list(known.values()), indent=1) + "\n", "utf-8")
    return list(known.values())


def report(rows: list[dict[str, Any]]) -> str:
    """Two tables: the published recipe against ours, and what was cut down for machines without a GPU."""
    whole, cut = ([row for row in rows if row["cut"] is one] for one in (False, True))
    parts = [
        "Test accuracy in % after the last epoch, of the ONNX file; 2 % of the training images are kept for "
        "validation, which the papers train on too. Aim: within 0.3 points of the published figure, or above."
    ]
    if whole:
        columns = ["pair", "row", "published", "ours", "difference", "seeds", "epochs", "training", "hardware"]
        parts.append(table(columns, [_whole(row) for row in whole]))
    else:
        parts.append("No row of the published recipe has been run yet: it wants a GPU.")
    if cut:
        parts.append(
            "**Cut down for a CPU** (resnet20 -> resnet8 on the first 20 classes, few epochs): shows that the whole "
            "path works; it says nothing about the papers' figures."
        )
        parts.append(
            table(
                ["row", "ours", "95 %", "seeds", "epochs", "training", "hardware"],
                [_cut(row) for row in {row["method"]: row for row in cut}.values()],
            )
        )
    return "\n\n".join(parts)


def _whole(row: dict[str, Any]) -> list[str]:
    published, ours = PUBLISHED[row["pair"]].get(row["method"]), 100 * row["accuracy"]
    return [
        row["pair"],
        row["method"],
        "" if published is None else f"{published:.2f}",
        f"{ours:.2f}",
        "" if published is None else f"{ours - published:+.2f}",
        *_rest(row),
    ]


def _cut(row: dict[str, Any]) -> list[str]:
    return [
        row["method"],
        f"{100 * row['accuracy']:.2f}",
        f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
        *_rest(row),
    ]


def _rest(row: dict[str, Any]) -> list[str]:
    return [str(row["seeds"]), str(row["epochs"]), format.duration(row["seconds"]), row["hardware"]]


if __name__ == "__main__":
    main()
