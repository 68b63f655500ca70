"""Peak memory of one inference, asked of a fresh process that imports onnxruntime alone.

`python peak_memory.py MODEL DTYPE B C H W` prints bytes, or nothing where the system does not tell. Not
`ru_maxrss`: it begins with the parent's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdcore.inputs import Shape

TIMEOUT_SECONDS = 60


def peak_memory_mb(path: Path, shape: Shape) -> float | None:
    """Megabytes (10⁶) that a process needs at its peak to load ONNX Runtime and the model and run one input.

    Repeats agree to about 1 MB. None where the system does not tell (macOS) or the process fails.
    """
    from kdcore import inputs  # the process that is measured runs this file too, and has no need of it

    example = inputs.of(shape).plain(shape, 1)
    command = [sys.executable, __file__, str(path), str(example.dtype), *map(str, example.shape)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    except subprocess.SubprocessError:
        return None
    return int(done.stdout) / 1e6 if done.stdout.strip() else None


def _run(path: str, dtype: str, lengths: list[int]) -> None:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: np.zeros(lengths, dtype)})


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
    _run(sys.argv[1], sys.argv[2], [int(length) for length in sys.argv[3:]])
    print(_peak_bytes() or "")
