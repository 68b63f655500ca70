"""What networks share whose weights come out of a Hugging Face folder: their options, and what they ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from kdcore import hub
from kdcore.registry import Options

O = TypeVar("O", bound=Options)  # noqa: E741


def weights_option(description: str) -> Any:
    """The field `weights: str`, a folder or a name on the hub; validated by `hub.name_or_path`."""
    return Field("", max_length=1000, description=description)


def sha256_option() -> Any:
    """The field `sha256: str` of the file with the weights."""
    return Field(
        "",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256 that model.safetensors must have. Empty: that of the file when the run is planned.",
    )


def pinned(options: O) -> O:
    """With the digest of the weights that are there now."""
    chosen: Any = options
    if not chosen.weights or chosen.sha256:
        return options
    known = hub.PUBLISHED.get(chosen.weights)
    folder = hub.local(chosen.weights)
    return options.model_copy(update={"sha256": known or (hub.digest(folder) if folder else "")})


def confirm(options: Any, folder: Path) -> None:
    """Raises BadFolder where the folder's weights are not those that were planned with."""
    if (wanted := pinned(options).sha256) and hub.digest(folder) != wanted:
        raise hub.BadFolder(
            f"model.safetensors in {folder} is not the file that was planned with (its SHA-256 differs): restore "
            "it, or start a new run"
        )


def check_sizes(weights: str, config: Any, wanted: dict[str, Any], options_of: dict[str, str]) -> None:
    """Raises BadFolder where a config has other values than these. `options_of`: the options that follow some."""
    for name, value in wanted.items():
        if config.get(name) != value:
            found = str(config.get(name))[:40]
            change = f": set {options_of[name]} to it" if name in options_of else ", which is not supported"
            raise hub.BadFolder(f"{weights} has {name} {found}, not {value}{change}")


def layers(weights: str, config: Any, name: str) -> int:
    """How many layers a config says. Raises BadFolder."""
    found = config.get(name)
    if type(found) is not int or not 1 <= found <= 1000:
        raise hub.BadFolder(f"{hub.CONFIG} of {weights} does not say how many layers it has")
    return found
