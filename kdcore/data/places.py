"""Where data sets lie on disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kdcore import registry
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import Remote
from kdcore.paths import data_home
from kdcore.registry import Entry, Options


def place(source: Options) -> Path:
    """The folder of the prepared arrays: `data_home()/<name>/<digest of the options>/`. Raises RecipeError."""
    entry: Entry = registry.entry_of("dataset", source)
    chosen: dict[str, Any] = {"version": entry.stamp, **source.model_dump(mode="json", exclude=registry.newer(source))}
    traits = DatasetTraits.of(source)
    if stamp := traits.fetch.stamp(source) if traits.fetch else traits.stamp(source):
        chosen["stamp"] = stamp
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]
    return data_home() / entry.name / digest


def raw_folder(source: Options) -> Path:
    """Where downloaded files are kept, and where a person puts them by hand."""
    return data_home() / registry.entry_of("dataset", source).name / "raw"


def missing(source: Options) -> list[Remote]:
    """The files that still have to be downloaded."""
    folder, fetch = raw_folder(source), DatasetTraits.of(source).fetch
    return [file for file in (fetch.files(source) if fetch else ()) if not (folder / file.name).exists()]


def ready(folder: Path) -> bool:
    """Whether the arrays in this folder are complete."""
    return (folder / "info.json").exists()
