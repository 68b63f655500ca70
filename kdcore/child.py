"""A module of this package in a process of its own: on one thread, without a GPU, for a limited time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from kdcore.paths import CHECKOUT


def run_module(module: str, *arguments: str, seconds: float, question: Any = None) -> subprocess.CompletedProcess[str]:
    """Runs `python -m module` with what a JSON `question` says as its standard input; waits at most so many seconds.

    Variables that make torch unpickle whatever a file holds are not passed on. Raises subprocess.TimeoutExpired.
    """
    safe = {name: value for name, value in os.environ.items() if not name.startswith("TORCH_FORCE")}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=json.dumps(question),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        cwd=CHECKOUT,
        env=safe | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=seconds,
        check=False,
    )


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """What the module printed last, as JSON: libraries may print before it."""
    return json.loads(done.stdout.splitlines()[-1])


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why it failed: the last line of its standard error, or its exit code."""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
