"""Peak memory of one inference, asked of a fresh process that imports onnxruntime alone.

`python peak_memory.py MODEL C H W` prints bytes, or nothing where the system does not tell. Not
`ru_maxrss`: it begins with the parent's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TIMEOUT_SECONDS = 60


def peak_memory_mb(path: Path, shape: Sequence[int]) -> float | None:
    """Megabytes (10⁶) that a process needs at its peak to load ONNX Runtime and the model and run one image (C, H, W).

    Repeats agree to about 1 MB. None where the system does not tell (macOS) or the process fails.
    """
    command = [sys.executable, __file__, str(path), *map(str, shape)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    except subprocess.SubprocessError:
        return None
    return int(done.stdout) / 1e6 if done.stdout.strip() else None


def _run(path: str, shape: list[int]) -> None:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: np.zeros((1, *shape), np.float32)})


def _peak_bytes() -> int | None:
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    _run(sys.argv[1], [int(length) for length in sys.argv[2:]])
    print(_peak_bytes() or "")
