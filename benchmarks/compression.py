"""What every kind of compression gains and costs: speed and size of three networks, and accuracy on a real task.

    python -m benchmarks.compression [--write] [--quick] [--parts NAME ...]

Speed and size are of random weights and take minutes on a quiet machine; the task is trained through kdcore's own runs
in the workspace, where a killed benchmark goes on: the first 20 classes of CIFAR-100 on a CPU, all 100 with a GPU.
`--quick` cuts all of it down to less than ten minutes. With `--write` the parts stay in docs/compressed.json until the
same part is measured again, and docs/results.md tells all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks import compression_report, compression_speed, compression_task
from benchmarks.results import publish
from kdcore import machine

KEPT = Path(__file__).parent.parent / "docs" / "compressed.json"
PARTS = [*compression_speed.SUBJECTS, *compression_task.PARTS]
TITLES = {
    "resnet18": "Speed and size: resnet18 at 224x224",
    "resnet20": "Speed and size: resnet20 at 32x32",
    "mobilenetv2": "Speed and size: MobileNetV2 at 32x32",
    "int8": "Real task: int8",
    "bits": "Real task: few bits, trained on the grid or rounded after training",
    "structured": "Real task: half of the filters, with the teacher and without",
    "deep": "Real task: Deep Compression",
}

Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the section into docs/results.md")
    parser.add_argument("--quick", action="store_true", help="fewer classes, epochs and rounds: under ten minutes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="NAME", help=", ".join(PARTS))
    chosen = parser.parse_args()
    kept: dict[str, Found] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    for part in chosen.parts:
        found = measure(part, chosen.quick)
        kept.setdefault(part, {})[found["size"]["name"]] = found
        if chosen.write:
            KEPT.write_text(json.dumps(kept) + "\n", "utf-8")
    publish("Compression", "python -m benchmarks.compression", report(kept))


def measure(part: str, quick: bool) -> Found:
    """One part, with when, where and how long, as JSON."""
    size = compression_task.chosen(quick)
    started, name = time.time(), "quick" if quick else "full"
    if part in compression_speed.SUBJECTS:
        found = compression_speed.measure(part, quick)
        about: Found = {"name": name}
    else:
        found = compression_task.PARTS[part](size)
        about = size._asdict()
    return {
        "size": about,
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime(started)),
        "seconds": round(time.time() - started),
        "machine": machine.describe()["summary"],
        "found": found,
    }


def report(kept: dict[str, Found]) -> str:
    """All parts that are kept, in their order; what was cut down only where there is nothing better."""
    sections = []
    for part in PARTS:
        sizes = kept.get(part, {})
        whole = [found for name, found in sizes.items() if name != "quick"] or list(sizes.values())
        sections += [f"### {TITLES[part]}\n\n{_part(part, found)}" for found in whole]
    return "\n\n".join(sections)


def _part(part: str, found: Found) -> str:
    cut = "**Cut down (`--quick`): no result, only a sign that it works.** " if found["size"]["name"] == "quick" else ""
    when = f"Measured {found['date']} UTC on {found['machine']}."
    if part in compression_speed.SUBJECTS:
        return f"{cut}{when} {compression_speed.report(part, found['found'])}"
    about = compression_report.about(found["size"], part)
    return f"{cut}{when} {about} {compression_report.REPORTS[part](found['found'])}"


if __name__ == "__main__":
    main()
