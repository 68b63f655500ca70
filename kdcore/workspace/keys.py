"""Content keys: the same work has the same key, whoever asks for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from kdcore import registry
from kdcore.registry import Options

# Raised when a stage would compute something else from the same spec, beside the registries' own versions.
LOOP = 1
EXPORT = 1
EVALUATE = 2


def canonical(document: Any) -> str:
    """The one JSON text of a document: sorted keys, no spaces. Raises ValueError on NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(document: Any) -> str:
    """sha256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def versions(choices: Iterable[tuple[str, Options]]) -> dict[str, Any]:
    """`{"kind:name": version}` of the registry entries that a stage uses, and of those within their options; of a
    plug-in's entry the digest of its source too."""
    used: dict[str, Any] = {}
    for kind, options in choices:
        entry = registry.entry_of(kind, options)
        used[f"{kind}:{entry.name}"] = entry.stamp
        used |= versions(within(options))
    return used


def choices(value: Any) -> Iterable[tuple[str, Options]]:
    """Those `within`, and those within them in turn."""
    for kind, options in within(value):
        yield kind, options
        yield from choices(options)


def within(value: Any) -> Iterable[tuple[str, Options]]:
    """The choices that stand in a Recipe, or in the options of a choice, as the parts of a combined method do."""
    parts = value if isinstance(value, tuple) else [getattr(value, name) for name in type(value).model_fields]
    for part in parts:
        kind = next((kind for kind in registry.PACKAGES if isinstance(part, Options) and hasattr(part, kind)), None)
        if kind:
            yield kind, part
        elif isinstance(part, BaseModel | tuple):
            yield from within(part)


def stage_key(
    spec: Mapping[str, Any], *, inputs: Iterable[str], fingerprint: str, seed: int, entries: Mapping[str, Any]
) -> str:
    """The key of a stage: everything that its model depends on, and nothing else."""
    return digest(
        {
            "spec": dict(spec),
            "inputs": list(inputs),
            "dataset": fingerprint,
            "seed": seed,
            "versions": {**entries, "loop": LOOP, "export": EXPORT, "evaluate": EVALUATE},
        }
    )
