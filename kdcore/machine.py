"""What this machine is, without importing torch."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = (
    "torch", "torchvision", "timm", "onnx", "onnxruntime", "openvino", "torch-pruning", "streamlit", "plotly", "numpy",
    "pandas",
)  # fmt: skip
CORES = "KDCORE_CORES"  # in the environment of a job: the cores that it asked for
FAST_BF16 = {"avx512_bf16", "amx_bf16"}
VNNI = frozenset({"avx512_vnni", "avx_vnni"})  # int8 products added up in 32 bits


def cores() -> int:
    """Cores that this process may use; of a job those that it asked for, also where the cluster binds none."""
    if asked := os.environ.get(CORES) or os.environ.get("SLURM_CPUS_PER_TASK"):
        with contextlib.suppress(ValueError):
            return min(int(asked), _cores())
    return _cores()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Threads of a worker on a CPU: all cores but one, which is left to the page."""
    return max(1, cores() - 1)


def crowding() -> float:
    """How many times longer a process takes here now than on an idle machine: those that want a core, with it, for each
    core, as the load average of the last minute has it; at least 1."""
    return max(1.0, (psutil.getloadavg()[0] + 1) / (psutil.cpu_count() or 1))


@cache
def cpu_flags() -> frozenset[str]:
    """Instruction sets that matter here; empty where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")
    return frozenset(line.split()) & set(wanted)


@cache
def cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    line = next((line for line in text.splitlines() if line.startswith("model name")), "")
    return line.partition(":")[2].strip() or platform.machine()


@cache
def gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs that CUDA may use, asked of the driver; empty when there are none."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ()
    try:
        ctypes.CDLL("libcuda.so.1" if os.name != "nt" else "nvcuda.dll")
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def device() -> str:
    """Where training runs: "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if gpus() else "cpu"


def precision(asked: str) -> str:
    """ "fp32" or "bf16": what `auto` means on this machine, or what was asked for."""
    if asked != "auto":
        return asked
    return "bf16" if gpus() or cpu_flags() & FAST_BF16 else "fp32"


@cache
def versions() -> dict[str, str]:
    """Installed versions of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe() -> dict[str, Any]:
    """The machine as a JSON document, kept beside every model and timing session."""
    memory = psutil.virtual_memory().total
    where = ", ".join(gpus()) or "no GPU"
    return {
        "cpu": cpu_name(),
        "flags": sorted(cpu_flags()),
        "cores": cores(),
        "threads": threads(),
        "memory_bytes": memory,
        "os": f"{platform.system()} {platform.release()}",
        "platform": sys.platform,
        "gpus": list(gpus()),
        "versions": versions(),
        "summary": f"{cpu_name()}, {cores()} cores, {memory / 2**30:.0f} GiB, {where}",
    }
