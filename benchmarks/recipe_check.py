"""Every row of the reproduction beside its source, field by field, without training anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from benchmarks import published
from benchmarks.results import table
from kdcore import models, registry
from kdcore.recipe import Augmentation, Recipe, Train

IMAGES = 50_000
MIXES = ("mixup", "cutmix")
EXTRAS = ("label_smoothing", "clip_norm", "ema", "patience")

VALIDATION = "2 % of the training images are kept for validation, which the papers train on too"
HEAD = "PyTorch's own initialisation of the classifier; its first weights are small in either"
EXPLAINED: dict[tuple[str, Any, Any], str] = {  # (field, ours, the source's): why it differs
    ("training images", 49_000, 50_000): VALIDATION,
    ("last batch of an epoch", "goes on with the next epoch's images", "16 images"): (
        "passes follow each other without a gap, so every batch is full: 183,750 steps for 187,680"
    ),
    ("last batch of an epoch", "goes on with the next epoch's images", "dropped"): (
        "passes follow each other without a gap, so no image is left out: 183,750 steps for 187,440"
    ),
    ("normalisation", "the training images' own mean and deviation", published.TRAINING["normalisation"]): (
        "the same numbers to 0.0002"
    ),
    ("teacher", "trained here", "RepDistiller's checkpoint"): (
        "trained by the recipe of the row `teacher`, whose accuracy stands beside the checkpoint's"
    ),
    ("classifier's first weights; biases", "uniform; uniform", "uniform; 0"): HEAD,
    ("classifier's first weights; biases", "uniform; uniform", "normal, 0.01; 0"): HEAD,
    ("rise of the loss", "each step", "each epoch"): (
        "the weight rises over the same 20 epochs, in steps of one batch instead of 1/20 an epoch: half an epoch later"
    ),
    ("negatives drawn", "with repetition", "without repetition"): (
        "16,384 of 49,500 images: with repetition 28 % of them are different ones, without 33 %"
    ),
}  # fmt: skip


class Difference(NamedTuple):
    """A field of a row, and why it differs; an empty reason is a mistake."""

    row: str
    field: str
    ours: Any
    theirs: Any
    why: str


def ours(recipe: Recipe, row: str) -> dict[str, Any]:
    """The fields of a row as the Recipe trains it."""
    teacher = row == "teacher"
    model = recipe.teacher.model if teacher else recipe.student.model
    train = recipe.teacher.train if teacher else recipe.train
    network = registry.entry_of("architecture", model).name
    size = ", ".join(f"{name} {getattr(model, name)}" for name in ("depth", "width"))
    return {
        "network": f"{network}, {size}",
        **_training(train, recipe.data.validation),
        **_head(model),
        **_options(recipe, row),
    }


def theirs(row: str, pair: str, model: registry.Options) -> dict[str, Any]:
    """The same fields as the row's source has them."""
    source = published.FIGURES[row][pair].source
    head = published.HEADS[registry.entry_of("architecture", model).name]
    return {
        "network": published.NETWORKS[pair][row != "teacher"],
        **published.training(source),
        "classifier's first weights; biases": head,
        **published.options(row, pair),
    }


def compared(recipe: Recipe, row: str, pair: str) -> list[Difference]:
    """All fields of one row; `why` is "same" where both agree."""
    mine = ours(recipe, row)
    other = theirs(row, pair, recipe.teacher.model if row == "teacher" else recipe.student.model)
    return [
        Difference(row, field, mine.get(field), other.get(field), _why(field, mine.get(field), other.get(field)))
        for field in {**other, **mine}
    ]


def report(recipe_of: Callable[[str, str], Recipe], methods: list[str]) -> tuple[str, list[Difference]]:
    """The comparison of all rows as Markdown, and the differences that nothing explains."""
    parts, unexplained = [], []
    for pair in published.PAIRS:
        for row in ("teacher", "student alone", *methods):
            found = compared(recipe_of(pair, methods[0] if row not in methods else row), row, pair)
            unexplained += [one._replace(row=f"{pair}, {row}") for one in found if not one.why]
            source = published.FIGURES[row][pair].source
            lines = [[one.field, str(one.ours), str(one.theirs), one.why or "**NOT EXPLAINED**"] for one in found]
            parts.append(f"## {pair}, {row} ({source})\n\n{table(['field', 'ours', 'source', ''], lines)}")
    return "\n\n".join(parts), unexplained


def _why(field: str, mine: Any, other: Any) -> str:
    return "same" if mine == other else EXPLAINED.get((field, mine, other), "")


def _training(train: Train, validation: float) -> dict[str, Any]:
    epochs = train.epochs or 0
    views, extras = train.views, {name: getattr(train, name) for name in EXTRAS}
    extras |= {name: getattr(views, name) for name in MIXES}
    return {
        "training images": round(IMAGES * (1 - validation)),
        "epochs": epochs,
        "batch size": train.batch_size,
        "last batch of an epoch": "goes on with the next epoch's images",
        "optimizer": f"{train.optimizer}, momentum 0.9",
        "nesterov": train.nesterov,
        "learning rate": train.learning_rate,
        "divided by ten after epochs": tuple(round(epochs * share) for share in train.milestones),
        "warm-up of the learning rate": train.warmup,
        "weight decay": train.weight_decay,
        "decay of biases and norms": train.decay_all,
        "padding": _padding(views),
        "flip": views.flip,
        "normalisation": "the training images' own mean and deviation",
        "mixing, smoothing, clipping, averaging, early stop": {k: v for k, v in extras.items() if v} or None,
        "precision": train.precision,
    } | ({} if train.schedule == "step" else {"schedule": train.schedule})


def _padding(views: Augmentation) -> str:
    parts = {"zeros": views.shift, "reflected": views.crop}
    return " and ".join(f"{pixels}, {kind}" for kind, pixels in parts.items() if pixels)


def _head(model: registry.Options) -> dict[str, str]:
    torch.manual_seed(0)
    head = models.head(models.create(model, 100, (3, 32, 32), [0.5] * 3, [0.25] * 3)).state_dict()
    weight = "uniform" if head["weight"].abs().max() < 2 * head["weight"].std() else "normal"
    spread = f", {head['weight'].std():.2f}" if weight == "normal" else ""
    return {"classifier's first weights; biases": f"{weight}{spread}; {'uniform' if head['bias'].any() else '0'}"}


def _options(recipe: Recipe, row: str) -> dict[str, Any]:
    if row in ("teacher", "student alone"):
        return {}
    found = {
        "teacher": recipe.teacher.source.model_dump(mode="json")["teacher"],
        **recipe.distill.model_dump(mode="json"),
    }
    found["teacher"] = {"trained": "trained here"}.get(found["teacher"], found["teacher"])
    if found["method"] == "crd":
        found["negatives drawn"] = "with repetition"
    if found["method"] == "dkd":
        found["rise of the loss"] = "each step"
    return found
