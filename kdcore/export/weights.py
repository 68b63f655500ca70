"""Weights files: safetensors and JSON, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from kdcore import models
from kdcore.files import replacing

TENSORS = "model.safetensors"
ARCHITECTURE = "architecture.json"


class DamagedWeights(ValueError):
    """The weights or the architecture in a folder cannot be read."""


def save(folder: Path, network: nn.Module, document: Mapping[str, Any]) -> None:
    """Writes the network's state, in fp32, and the document that `models.rebuild` needs to make it again.

    Tied weights are written once; the file's metadata names their other places. Equal weights give
    equal bytes.
    """
    state, twins = network.state_dict(), tied(network)
    tensors = {name: plain(value).clone() for name, value in state.items() if name not in twins}
    text = json.dumps(dict(document), indent=1)
    with replacing(folder / TENSORS) as temporary:
        save_file(tensors, temporary, {"tied": json.dumps(twins, sort_keys=True)})
    with replacing(folder / ARCHITECTURE) as temporary:
        temporary.write_text(text, "utf-8")


def tied(network: nn.Module) -> dict[str, str]:
    """The places of the network's state that hold the tensor of an earlier place: that one's name, by theirs."""
    places: dict[Any, str] = {}
    found: dict[str, str] = {}
    for name, value in network.state_dict().items():
        first = places.setdefault((value.data_ptr(), value.shape, value.stride()), name)
        if value.numel() and first != name:
            found[name] = first
    return found


def plain(value: torch.Tensor) -> torch.Tensor:
    """The tensor as files hold it: on the CPU, without gaps, floats as fp32."""
    return (value.detach().float() if value.is_floating_point() else value).cpu().contiguous()


def load(folder: Path) -> nn.Module:
    """The network that `save` wrote, in evaluation mode on the CPU.

    Raises FileNotFoundError, DamagedWeights, or what `models.rebuild` raises for tensors that do not fit.
    """
    for name in (TENSORS, ARCHITECTURE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing")
    try:
        document = json.loads((folder / ARCHITECTURE).read_text("utf-8"))
        with safe_open(folder / TENSORS, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            twins = json.loads((file.metadata() or {}).get("tied", "{}"))
        tensors |= {name: tensors[place] for name, place in twins.items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedWeights(f"the model in {folder} cannot be read: {error}") from None
    return models.rebuild(document, tensors)
