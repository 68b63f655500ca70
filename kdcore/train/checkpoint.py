"""Checkpoints at epoch ends: safetensors and JSON, never pickles. A kill leaves the old one or the new one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn


@dataclass(frozen=True)
class Progress:
    """Where training stands: finished epochs and steps, the history's length in bytes, seconds spent, the best
    validation accuracy (0..1) and the epoch that had it, the state of fp16's loss scaler (empty: not in use)."""

    epoch: int = 0
    step: int = 0
    history_bytes: int = 0
    seconds: float = 0.0
    best: float = -1.0
    best_epoch: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Replaces the checkpoint in `folder` with this state: modules by name, optimizer, progress."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    tensors = {
        f"{part}.{name}": value.clone(memory_format=torch.contiguous_format)
        for part, module in modules.items()
        for name, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value.contiguous() for name, value in state.items() if value is not None
        }
    save_file(tensors, fresh / "state.safetensors")
    (fresh / "progress.json").write_text(json.dumps({"schema": 1} | asdict(progress)))
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> Progress:
    """Puts the checkpoint in `folder` into the modules and the optimizer; a fresh start where there is none."""
    old = folder.with_name(f"{folder.name}.old")
    if not folder.exists() and old.exists():  # killed between the two renames
        os.replace(old, folder)
    if not folder.exists():
        return Progress()
    tensors = load_file(folder / "state.safetensors")
    for part, module in modules.items():
        module.load_state_dict({n[len(part) + 1 :]: v for n, v in tensors.items() if n.startswith(f"{part}.")})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = _laid_out(value, parameters[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    document = json.loads((folder / "progress.json").read_text())
    document.pop("schema")
    return Progress(**document)


def _laid_out(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The value in its parameter's memory layout: fused optimizers walk both in step, whatever their strides."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
