"""Measuring the robustness of the models of runs. It depends on nothing but the model, and is kept beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kdcore import arrays, inputs, machine
from kdcore.execute.sound import usable
from kdcore.files import lock, read_json, write_json
from kdcore.measure import robustness as measuring
from kdcore.measure.robustness import FILE, MOST_IMAGES
from kdcore.workspace.library import deployed
from kdcore.workspace.plans import Plan
from kdcore.workspace.workspace import Workspace

log = logging.getLogger(__name__)


def robustness(
    workspace: Workspace,
    plans: Iterable[Plan],
    *,
    images: int = MOST_IMAGES,
    on_progress: Callable[[float], None],
) -> None:
    """Measures the first seed's file of every finished variant of these plans, on at most `images` test images.

    What was measured by the same protocol is not measured again. Each data set's images are corrupted once for all of
    its models, and its documents are written when all of them are whole. `on_progress` hears the share that is done,
    0..1, and may raise to end it. Raises GoneImages.
    """
    work = _by_dataset(plans)
    for place, (fingerprint, keys) in enumerate(work.items()):

        def on_share(share: float, before: int = place) -> None:
            on_progress((before + share) / len(work))

        _measure(workspace, fingerprint, keys, images, on_share)


class GoneImages(LookupError):
    """The test images of a data set are no longer in the workspace."""


def _by_dataset(plans: Iterable[Plan]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for plan in plans:
        keys = found.setdefault(plan.dataset["fingerprint"], {})
        keys |= dict.fromkeys(variant.keys[0] for variant in plan.variants)
    return {fingerprint: list(keys) for fingerprint, keys in found.items()}


def _measure(
    workspace: Workspace, fingerprint: str, keys: Iterable[str], most: int, on_share: Callable[[float], None]
) -> None:
    folder = workspace.dataset(fingerprint)
    try:
        about = read_json(folder / "info.json")
        kind = inputs.of(about["shape"])
        images, labels = kind.load(folder, "test_images"), arrays.mapped(folder / "test_labels.npy")
    except FileNotFoundError:
        raise GoneImages(
            f"the test examples of data set {fingerprint[:12]} are missing: resume the run that prepared them"
        ) from None
    asked = measuring.protocol(len(images), kind.shape(images), most)
    due = {key: path for key, path in deployed(workspace, keys).items() if not _known(workspace, key, asked)}
    due = usable(workspace, due)
    if not due:
        return
    log.info("robustness of %d models on %d test examples", len(due), asked["images"])
    found = measuring.robustness(
        due, images, labels, about["classes"], kind=kind, most=most, threads=machine.threads(), on_progress=on_share
    )
    for key, document in found.items():
        with lock(workspace.model(key) / "lock"):
            write_json(workspace.model(key) / FILE, document)


def _known(workspace: Workspace, key: str, asked: Mapping[str, Any]) -> bool:
    return (read_json(workspace.model(key) / FILE, None) or {}).get("protocol") == asked
