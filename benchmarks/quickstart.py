"""The quickstart from an empty workspace, and once more: the time of each stage, and the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.results import publish, table
from kdcore.report import format
from kdcore.report.verdicts import WORDS
from kdcore.workspace.events import read


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "workspace"
        first, wall = run(home)
        again, second = run(home)
        phases = phase_seconds(home / "runs" / first["run"] / "events.jsonl")
        subprocess.run([sys.executable, "-m", "kdcore", "stop", "--all"], env=environment(home), check=True)
    body = [
        f"From an empty workspace **{wall:.1f} s**, and the second time **{second:.1f} s** "
        f"({sum(stage['reused'] for stage in again['stages'])} of {len(again['stages'])} stages reused).",
        table(["stage", "seconds"], [[s["stage"], f"{s['seconds']:.2f}"] for s in first["stages"]]),
        "Where the time goes, over all stages:",
        table(["phase", "seconds"], [[name, f"{seconds:.2f}"] for name, seconds in phases.items()]),
        table(
            ["variant", "accuracy", "95 %", "bytes", "smaller", "images/s, batch 64", "throughput", "verdict"],
            [variant_row(row, first["variants"][0]) for row in first["variants"]],
        ),
        "\n".join(f"- {verdict['variant']}: {verdict['words']}" for verdict in first["verdicts"]),
    ]
    publish("Quickstart", "python -m benchmarks.quickstart", "\n\n".join(body))


def environment(home: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "KDCORE_DATA"} | {"KDCORE_HOME": str(home)}


def run(home: Path) -> tuple[dict[str, Any], float]:
    """The run's JSON document, and the seconds from the command to its end."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "kdcore", "run", "quickstart", "--json"]
    done = subprocess.run(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout), time.perf_counter() - started


def phase_seconds(path: Path) -> dict[str, float]:
    """Seconds by phase over all stages; `starting` is what comes before the first, `timing` the session."""
    events = read(path).events
    document = json.loads((path.parent / "result.json").read_text())
    seconds = {"starting": events[0]["t"] - document["started"]}
    name, since = "", events[0]["t"]
    for event in events:
        if event["type"] in ("phase", "stage", "session"):
            if name:
                seconds[name] = seconds.get(name, 0.0) + event["t"] - since
            since = event["t"]
            name = {"phase": event.get("phase"), "session": "timing"}.get(event["type"], "")
    return seconds


def variant_row(row: dict[str, Any], teacher: dict[str, Any]) -> list[str]:
    return [
        row["variant"],
        format.percent(row["accuracy"]),
        f"{format.percent(row['accuracy_low'])} to {format.percent(row['accuracy_high'])}",
        f"{row['size_bytes']:,}",
        format.times(teacher["size_bytes"] / row["size_bytes"]),
        f"{row['images_per_s']:,.0f}",
        f"{row['throughput_gain']:.2f} ({row['throughput_gain_low']:.2f} to {row['throughput_gain_high']:.2f})",
        WORDS.get(row["verdict"], ""),
    ]


if __name__ == "__main__":
    main()
