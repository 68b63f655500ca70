"""torchvision's published weights: fetched at the first training that asks for them, kept under `KDCORE_DATA`."""

from __future__ import annotations

import pickle
import re
from http.client import HTTPException
from pathlib import Path
from typing import Any

from kdcore.lazy import functional, nn, torch
from kdcore.models.traits import ArchitectureTraits
from kdcore.paths import data_home
from kdcore.problems import first_line

AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
# Early files number the layers of a dense layer: "norm.1" is "norm1" today.
DENSE = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class PublishedWeightsError(RuntimeError):
    """The published weights are not there; the message says which file to put where."""


def folder() -> Path:
    """Where the files are kept, by the names that torchvision publishes them under."""
    return data_home() / "weights"


def load(model: nn.Module, name: str, size: tuple[int, int]) -> None:
    """Puts the default weights of torchvision's `name` into torchvision's own `model`, but for its head.

    `size`: height and width of the images, for which a vision transformer's positions are interpolated.
    Raises PublishedWeightsError.
    """
    state = _fetch(name)
    head = [path for path, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    for key in list(state):
        if key.startswith((f"{head}.", *AUXILIARY)):
            del state[key]
        elif DENSE.search(key):
            state[DENSE.sub(r"\1\2", key)] = state.pop(key)
    if "encoder.pos_embedding" in state:
        state["encoder.pos_embedding"] = _interpolated(state["encoder.pos_embedding"], model, size)
    missing, unknown = model.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.startswith(f"{head}.") and not key.endswith("num_batches_tracked")]
    if missing or unknown:
        raise PublishedWeightsError(
            f"the published weights are not those of this torchvision's {name}: {(missing + unknown)[0]!r} does not fit"
        )


def load_head(network: nn.Module, options: Any, classes: int, shape: tuple[int, int, int]) -> None:
    """Puts the published classifier into a network of this zoo. Raises PublishedWeightsError where it has no such."""
    names = ArchitectureTraits.of(options).names
    theirs = {ours: path for path, ours in (names(options, classes, shape) if names else {}).items()}
    state = _fetch(options.name)
    for name, value in network.get_submodule("head").named_parameters():
        if theirs.get(f"head.{name}") not in state:
            raise PublishedWeightsError(
                f"the published classifier of {options.name} is no linear layer: train a new one"
            )
        value.data.copy_(state[theirs[f"head.{name}"]])


def _fetch(name: str) -> Any:
    from torchvision import models

    weights: Any = models.get_model_weights(name)
    url = weights.DEFAULT.url
    path = folder() / url.rsplit("/", 1)[1]
    try:
        return weights.DEFAULT.get_state_dict(
            progress=False, check_hash=True, model_dir=str(folder()), map_location="cpu", weights_only=True
        )
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise PublishedWeightsError(
            f"the weights of {name} in {path} cannot be read ({first_line(error)}): delete the file, or put {url} there"
        ) from None
    except (OSError, HTTPException) as error:
        raise PublishedWeightsError(
            f"the weights of {name} cannot be downloaded ({error}): put {url} at {path}, or do without them"
        ) from None


def _interpolated(position: torch.Tensor, model: Any, size: tuple[int, int]) -> torch.Tensor:
    """Positions (1, 1 + n * n, C) for another number of patches, as in the paper: bicubic between the old ones."""
    grid = (size[0] // model.patch_size, size[1] // model.patch_size)
    first, others = position[:, :1], position[:, 1:]
    side = int(others.shape[1] ** 0.5)
    if grid == (side, side):
        return position
    maps = others.transpose(1, 2).unflatten(2, (side, side))
    maps = functional.interpolate(maps, size=grid, mode="bicubic", align_corners=True)
    return torch.cat([first, maps.flatten(2).transpose(1, 2)], 1)
