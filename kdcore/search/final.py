"""The end of a search: the real files of winner, control and reference in one session, and their test images, once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdcore.execute.run import Stopped
from kdcore.files import read_json
from kdcore.measure import timing
from kdcore.report.verdicts import on_images
from kdcore.search import judging, uniform
from kdcore.search.candidates import BATCH, Candidate, Candidates, at_pace, figures_of
from kdcore.search.fitting import Fitting
from kdcore.search.judging import Row
from kdcore.search.request import Search
from kdcore.search.space import Settings, Space

log = logging.getLogger("kdcore.search")

LAYER = ("name", "type", "shape", "weights", "bits", "sparsity", "macs")  # the facts that are kept of each layer
FINALISTS = 3  # that are timed again: a latency just within its limit may lie beyond it in the next session


class Found(NamedTuple):
    """What a search concludes from. `model`: the reference, of which search.json says `reference`; `rows`: trials."""

    search: Search
    space: Space
    fitting: Fitting
    candidates: Candidates
    model: Candidate
    reference: Mapping[str, Any]
    rows: Sequence[Row]


def conclude(found: Found, *, train: bool) -> dict[str, Any]:
    """`winner`, or else the `nearest`, and the `control`, each with its test accuracy; `words` and the `verdict`."""
    best = judging.ranked(found.rows, found.search, found.search.limits_of_trials)
    close = judging.nearest(found.rows, found.search)
    if close is None:
        return {"words": "No candidate could be trained.", "winner": None, "nearest": None, "control": None}
    chosen = [*best[:FINALISTS]] or [close]
    if found.search.effort < 1 and train:
        chosen = [_in_full(found, row) for row in chosen]
        chosen = judging.ranked(chosen, found.search) or chosen
    control = _control(found, chosen[0], train)
    measured = _timed(found, [*chosen, *([control["best"]] if control["best"] else [])])
    chosen = [{**row, **measured.get(row["key"], {})} for row in chosen]
    winner = next((row for row in chosen if judging.fits(row, found.search.limits)), None)
    shown = winner or min(chosen, key=lambda row: judging.beyond(row, found.search.limits))
    document = {
        "winner": None if winner is None else _described(found, winner),
        "nearest": None if winner else _described(found, shown),
        "control": control["best"] and _described(found, control["best"] | measured.get(control["best"]["key"], {})),
        "control_trials": control["trials"],
        "reference": {**found.reference, **measured.get(found.model.key, {}), **_tested(found, found.model.key)},
    }
    return document | {"words": judging.sentence([shown], found.search), "verdict": _verdict(found, document)}


def _in_full(found: Found, row: Row) -> Row:
    """A finalist, trained with all its steps."""
    built = found.candidates.build(found.space.recipe(row["settings"]))
    return {**row, **_row(found, row["settings"], built)}


def _control(found: Found, chosen: Row, train: bool) -> dict[str, Any]:
    """The best uniform chain within the limits that is no larger than the chosen candidate, by validation images, and
    how many were trained for it. `train`: what is not there yet is trained."""
    fits, made = found.fitting.within({**found.search.at_most.given, "size_bytes": chosen["size_bytes"]}), []
    for settings in uniform.chains(found.space, fits, found.candidates.check):
        recipe = found.space.recipe(settings)
        try:
            built = found.candidates.build(recipe) if train else found.candidates.known(recipe)
        except Stopped:
            raise
        except Exception as error:  # as for a trial
            log.info("the chain %s failed: %s", found.space.label(settings), error)
            continue
        if built:
            made.append(_row(found, settings, built))
    most = judging.value_of("size", chosen, found.search.coded)
    fit = [row for row in made if judging.value_of("size", row, found.search.coded) <= most]
    return {"best": max(fit, key=lambda row: row["accuracy"], default=None), "trials": len(made)}


def _row(found: Found, settings: Settings, built: Candidate) -> dict[str, Any]:
    figures = {name: value for name, value in built._asdict().items() if name != "keys"}
    return {
        **found.space.about(settings), "settings": settings, "state": judging.TRAINED, **figures,
        "lost": 100 * (found.model.accuracy - built.accuracy), "key": built.key, "keys": list(built.keys),
    }  # fmt: skip


def _timed(found: Found, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The times of these models' files beside the reference's, in one session, by key."""
    seconds = found.search.timing_seconds
    keys = [found.model.key, *dict.fromkeys(row["key"] for row in rows)]
    files: dict[str, Path] = {key: path for key in keys if (path := found.candidates.file(key))}
    if not seconds or not files:
        return {}
    first = next(iter(files))
    limited = found.search.at_most.given
    session = timing.session(
        files, first, found.candidates.shape, seconds=seconds, batches=(1, BATCH), memory="memory_mb" in limited,
        on_progress=lambda _: found.candidates.check(),
    )  # fmt: skip
    made: dict[str, dict[str, Any]] = {key: dict(figures_of(session, key, first)) for key in files}
    for key in files if found.search.timed else ():
        made[key] |= at_pace(made[key], found.reference)
    for key in files if "memory_mb" in limited else ():
        made[key]["memory_mb"] = session["models"][key]["peak_memory_mb"]
    return made


def _described(found: Found, row: Row) -> dict[str, Any]:
    """What the document says of a model: its figures, its test accuracy, and the Recipe that makes it in full."""
    whole = found.space.recipe(row["settings"], whole=True).document()
    facts = read_json(found.candidates.workspace.model(row["key"]) / "report.json").get("layers") or []
    layers = [{name: layer[name] for name in LAYER if name in layer} for layer in facts]
    return {**row, **_tested(found, row["key"]), "recipe": whole, "layers": layers}


def _tested(found: Found, key: str) -> dict[str, Any]:
    """Accuracy on the test images, or mean average precision of images with several labels."""
    quality = read_json(found.candidates.workspace.model(key) / "report.json").get("quality") or {}
    return {"test_accuracy": quality.get("map", quality.get("accuracy")), "test_images": quality.get("n")}


def _verdict(found: Found, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The chosen model against the control, on the same test images."""
    chosen, control = document["winner"] or document["nearest"], document["control"]
    labels = found.candidates.test_labels
    if control is None or control["key"] == chosen["key"] or labels.ndim > 1:
        return None
    right, other = (_answers(found, row["key"]) == labels for row in (chosen, control))
    margin = found.search.recipe.measure.margin / 100
    verdict = on_images(chosen["label"], "the uniform chain", right, other, margin)
    return verdict._asdict() | {"label": verdict.label}


def _answers(found: Found, key: str) -> np.ndarray:
    with np.load(found.candidates.workspace.model(key) / "logits.npz", allow_pickle=False) as logits:
        return logits["test"].argmax(axis=1)
