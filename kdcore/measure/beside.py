"""The files of a timing session in OpenVINO too: what is missing has a reason, and nothing else is lost by it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

Loaded = Callable[[np.ndarray], Callable[[], object] | None]  # images to a call that runs them; None: it cannot


class OpenVino:
    """These models, by key, as OpenVINO runs them; none where it is not installed."""

    def __init__(self, models: Mapping[str, Path]):
        from kdcore.export import openvino_runtime

        self._runtime = openvino_runtime
        self._models = models if openvino_runtime.installed() else {}
        self._reasons: dict[str, str] = {}

    def loaders(self) -> dict[str, Callable[[], Loaded | None]]:
        """By the name in the rounds, a function that loads the file, or gives None."""
        return {_name(key): partial(self._load, key, path) for key, path in self._models.items()}

    def document(self, summaries: Mapping[str, Callable[[str], dict[str, Any] | None]]) -> dict[str, Any]:
        """What the session's JSON document says. `summaries`: by batch, a name in the rounds to its times."""
        if not self._runtime.installed():
            return {"reason": self._runtime.MISSING, "models": {}}
        models: dict[str, dict[str, Any]] = {}
        for key in self._models:
            found = {batch: summary(_name(key)) for batch, summary in summaries.items()}
            models[key] = {"batches": {batch: times for batch, times in found.items() if times}}
            models[key] |= {"reason": self._reasons[key]} if key in self._reasons else {}
        return {"version": self._runtime.version(), "models": models}

    def _load(self, key: str, path: Path) -> Loaded | None:
        model = self._tried(key, partial(self._runtime.Model, path))
        return (lambda images: self._tried(key, partial(model.ready, images))) if model else None

    def _tried(self, key: str, make: Callable[[], Any]) -> Any:
        from kdcore.export.runtime import UnreadableModel

        try:
            return make()
        except UnreadableModel as error:
            self._reasons[key] = str(error)
            log.info("%s", error)
            return None


def _name(key: str) -> str:
    return f"OpenVINO {key}"
