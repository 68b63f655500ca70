"""Checkpoints at epoch ends: safetensors and JSON, never pickles. A kill leaves the old one or the new one.

`progress.json` names the state's file and carries the SHA-256 of it, of the history and of itself. To replace it is
what makes a new checkpoint count; a state that no progress names is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import nn

from kdcore.files import read_json, remove, replacing, sha256, write_json

PROGRESS = "progress.json"
EARLIER = "state.safetensors"  # the state's name in checkpoints of earlier versions, which carry no hashes

log = logging.getLogger(__name__)
Row = dict[str, Any]


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


class Unusable(ValueError):
    """The checkpoint is not as it was written; the message says what is wrong."""


def write(
    folder: Path, history: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Replaces the checkpoint in `folder` with this state: modules by name, optimizer, progress."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"state-{progress.epoch}.safetensors"
    with replacing(state) as temporary:
        save_file(_tensors(modules, optimizer), temporary)
        digest = sha256(temporary)
    document = asdict(progress) | {
        "state": state.name,
        "state_sha256": digest,
        "history_sha256": hashlib.sha256(history.read_bytes()[: progress.history_bytes]).hexdigest(),
    }
    write_json(folder / PROGRESS, document | {"sha256": _digest(document)})
    for left in folder.iterdir():
        if left.name not in (state.name, PROGRESS):
            with contextlib.suppress(OSError):
                remove(left)


def resume(
    folder: Path, history: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[Progress, list[Row]]:
    """Puts the checkpoint in `folder` into the modules and the optimizer; its progress and the history's rows.

    `history` is cut to these rows. Where there is no checkpoint, or it is unusable, which is logged, training begins
    again: nothing is changed but an empty history.
    """
    progress, rows = Progress(), list[Row]()
    if folder.exists():
        try:
            progress, rows, tensors = _read(folder, history, modules, optimizer)
            _restore(tensors, modules, optimizer)
        except Unusable as error:
            log.warning("the checkpoint cannot be used (%s): training starts from the beginning", error)
            remove(folder)
    if not history.is_file():
        remove(history)
        history.touch()
    with history.open("rb+") as file:
        file.truncate(progress.history_bytes)
    return progress, rows


def _tensors(modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors = {
        f"{part}.{name}": value.clone(memory_format=torch.contiguous_format)
        for part, module in modules.items()
        for name, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{name}": value.contiguous() for name, value in state.items() if value is not None
        }
    return tensors


def _read(
    folder: Path, history: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[Progress, list[Row], dict[str, torch.Tensor]]:
    """What the checkpoint holds, checked before anything is touched. Raises Unusable."""
    try:
        document = read_json(folder / PROGRESS)
        progress = _progress(document)
        state = (folder / document.get("state", EARLIER)).read_bytes()
        past = history.read_bytes()[: progress.history_bytes]
        for name, content in (("state", state), ("history", past)):
            if document.get(f"{name}_sha256", found := hashlib.sha256(content).hexdigest()) != found:
                raise Unusable(f"its {name} has changed since it was written")
        rows = [json.loads(line) for line in past.splitlines()]
        if [row["epoch"] for row in rows] != list(range(1, progress.epoch + 1)):
            raise Unusable("its history does not contain each epoch once")
        tensors = load(state)
    except Unusable:
        raise
    except FileNotFoundError as error:
        raise Unusable(f"{Path(error.filename).name} is missing") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, SafetensorError) as error:
        raise Unusable(error) from None
    for part, module in modules.items():
        shapes = {f"{part}.{name}": value.shape for name, value in module.state_dict().items()}
        if shapes != {name: value.shape for name, value in tensors.items() if name.startswith(f"{part}.")}:
            raise Unusable("its tensors belong to another network")
    return progress, rows, tensors


def _progress(document: Any) -> Progress:
    """The progress in a document whose own hash fits; one of an earlier version has none. Raises ValueError."""
    facts = {name: document[name] for name in document if name != "schema"}
    names = {known.name for known in fields(Progress)}
    if set(facts) != names:
        if facts.pop("sha256", None) != _digest(facts):
            raise Unusable(f"{PROGRESS} has changed since it was written")
        facts = {name: facts[name] for name in names}
    return TypeAdapter(Progress).validate_json(json.dumps(facts), strict=True)


def _restore(
    tensors: Mapping[str, torch.Tensor], modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    for part, module in modules.items():
        module.load_state_dict({n[len(part) + 1 :]: v for n, v in tensors.items() if n.startswith(f"{part}.")})
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = _laid_out(value, parameters[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The value in its parameter's memory layout: fused optimizers walk both in step, whatever their strides."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
