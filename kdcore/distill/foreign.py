"""Networks that somebody else trained: their normalisation, their order of classes, and questions about both.

A teacher that is right no more often than chance, or much more often when it is asked in another usual way, is
questioned when the run is planned; the question says what would answer it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from kdcore.data.normalisations import Normalisation, Pixels, given, usual
from kdcore.data.ordering import label_set_order, stratified_order
from kdcore.data.types import Dataset
from kdcore.distill.source import FIELD, LoadedTeacher, refuse
from kdcore.export import external_onnx
from kdcore.export.external_onnx import Judged, Wanted, WantedTexts
from kdcore.files import Damaged, read_json, write_json
from kdcore.models.first_look import Look, Sample, Suggestion
from kdcore.paths import home
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options

IMAGES, IMAGES_A_CLASS = 400, 4  # of a sample; whichever is more
MOST_BYTES = 64 * 2**20  # of a sample
COLOURS = 3
SHOWN = 8  # names of classes in a message
OF_PICTURES = (
    "Does it use another normalisation, or another order of classes? None of the usual ones is better: give mean"
    " and std, or class_order, or set anyway to use it as it is",
    "pixels",
)


class Foreign(Options):
    """Options that teachers from elsewhere share; each describes `path` and `pixels` in its own words."""

    path: str = ""
    pixels: Pixels = "normalised"
    mean: tuple[float, ...] = Field(
        (),
        max_length=64,
        description="Pixel mean of its normalisation, in the range of pixels: one number per channel, or one for all. "
        "Empty: as the option pixels specifies.",
    )
    std: tuple[float, ...] = Field(
        (), max_length=64, description="Standard deviation that belongs to the mean. Empty: as pixels specifies."
    )
    class_order: tuple[str, ...] = Field(
        (),
        max_length=100_000,
        description="This data set's class names in the order of the network's outputs. Empty: the data set's order, "
        "or as the file says.",
    )
    channels: Literal["as they are", "repeated"] = Field(
        "as they are",
        description="Repeated: the network expects colour, so grey images are repeated in its three channels.",
    )
    anyway: bool = Field(
        False, title="Use anyway",
        description="Use it even if it is no better than chance on this data set's images.",
    )  # fmt: skip


def shape(options: Foreign, dataset: Dataset) -> tuple[int, int, int]:
    """(C, H, W) of what the network takes. Raises RecipeError."""
    channels, height, width = dataset.shape
    if options.channels == "repeated":
        if channels != 1:
            refuse(
                "channels",
                f"only one channel can be repeated; these images have {channels}: set channels to as they are",
            )
        channels = COLOURS
    return channels, height, width


def normalisation(options: Foreign, dataset: Dataset) -> Normalisation:
    """How the network wants its pixels. Raises RecipeError."""
    channels = shape(options, dataset)[0]
    if bool(options.mean) != bool(options.std):
        refuse("std" if options.mean else "mean", "give both mean and standard deviation, or neither")
    if options.mean:
        if min(options.std) <= 0:
            refuse("std", "the standard deviation must be above zero")
        try:
            return given(options.pixels, options.mean, options.std, channels)
        except ValueError as error:
            refuse("mean", str(error))
    known = _known(dataset, channels)
    if options.pixels not in known:
        refuse("pixels", f"{options.pixels} is for colour; the network expects {channels} channels: give mean and std")
    return known[options.pixels]


def _known(dataset: Dataset, channels: int) -> dict[str, Normalisation]:
    times = channels // dataset.shape[0]
    return {"normalised": Normalisation(dataset.mean * times, dataset.std * times)} | usual(channels)


def others(options: Foreign, dataset: Dataset) -> dict[str, Normalisation]:
    """The usual ways to ask a network, by name."""
    return _known(dataset, shape(options, dataset)[0])


def order(names: Sequence[str], dataset: Dataset) -> tuple[int, ...]:
    """The class of each output, as `class_order` names them; empty where it does not. Raises RecipeError."""
    if not names:
        return ()
    unknown = [name for name in names if name not in dataset.classes]
    missing = [name for name in dataset.classes if name not in names]
    if unknown or missing or len(names) != len(dataset.classes):
        wrong = (
            [f"{some(unknown)} {'are not classes' if len(unknown) > 1 else 'is not a class'} here"] if unknown else []
        )
        wrong += [f"{some(missing)} {'are' if len(missing) > 1 else 'is'} missing"] if missing else []
        refuse("class_order", f"every class must occur once; {' and '.join(wrong) or 'a name occurs twice'}")
    return tuple(dataset.classes.index(name) for name in names)


def some(names: Sequence[str], most: int = SHOWN) -> str:
    """The first of them, for a message."""
    return ", ".join(names[:most]) + ", …" * (len(names) > most)


def spec(options: Foreign, dataset: Dataset, order: Sequence[int], usual_pixels: str) -> dict[str, Any]:
    """What a teacher's model depends on beside its file: what is not as usual. `order`: that was settled on."""
    asked = options.model_dump(mode="json", include={"mean", "std", "channels", "pixels"})
    usual_values = {"mean": [], "std": [], "channels": "as they are", "pixels": usual_pixels}
    return {name: value for name, value in asked.items() if value != usual_values[name]} | reordered(dataset, order)


def reordered(dataset: Dataset, order: Sequence[int]) -> dict[str, Any]:
    """`class_order` in a spec, where the outputs do not come as the data set's classes."""
    if not len(order) or list(order) == list(range(len(dataset.classes))):
        return {}
    return {"class_order": [dataset.classes[index] for index in order]}


@contextmanager
def sample(dataset: Dataset) -> Iterator[Path]:
    """A file with a `Sample` of the training examples, for a subprocess: the same ones every time."""
    labels = np.asarray(dataset.train_labels)
    ordered = (label_set_order if dataset.multilabel else stratified_order)(labels, [0])
    most = max(IMAGES, IMAGES_A_CLASS * len(dataset.classes))
    few = ordered[: max(1, min(most, MOST_BYTES // dataset.kind.values(dataset.shape)))]
    truth = labels[few] if dataset.multilabel else np.eye(len(dataset.classes), dtype=np.uint8)[labels[few]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.npz"
        Sample(dataset.kind.array(dataset.train_images[few]), truth, dataset.classes).write(path)
        yield path


def remembered(question: Any, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `ask` answers to this question, asked once: a page plans at every click."""
    name = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:32]
    cache = home() / "cache" / "teachers" / f"{name}.json"
    try:
        return {name: value for name, value in read_json(cache).items() if name != "schema"}
    except (OSError, Damaged):
        answer = ask()
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, answer)
        return answer


def judged_file(
    place: Path,
    known: Sequence[Any],
    wanted: Wanted | WantedTexts,
    dataset: Dataset,
    others: Mapping[str, Normalisation] = {},
) -> Judged:
    """What a subprocess says of an ONNX file and of its answers to a sample, asked once. `known`: what identifies the
    file. Raises RecipeError for one that cannot teach."""

    def ask() -> dict[str, Any]:
        try:
            with sample(dataset) as path:
                return external_onnx.adopt(place, wanted, sample=path, others=others).document()
        except external_onnx.TooSlow:
            raise
        except external_onnx.ForeignModel as error:
            return {"refused": str(error), "changes": error.changes}

    try:
        answer = remembered([*known, wanted, dataset.fingerprint], ask)
    except external_onnx.TooSlow as error:  # not remembered
        answer = {"refused": str(error), "changes": error.changes}
    if "refused" in answer:
        raise refusal(f"{place.name} cannot be used: {answer['refused']}", answer["changes"]) from None
    return Judged.read(answer)


def adopted(content: Path, wanted: Wanted | WantedTexts, scratch: Path) -> LoadedTeacher:
    """The teacher out of a copy of an ONNX file that `judged_file` let pass. Raises ForeignModel."""
    target = scratch / "adopted.onnx"
    return LoadedTeacher(onnx=target, report=external_onnx.adopt(content, wanted, target).report())


def refusal(message: str, changes: Mapping[str, Any]) -> RecipeError:
    """At the option that would put it right, else at the path."""
    better = tuple((f"{FIELD}.{option}", value) for option, value in changes.items())
    return RecipeError([Problem(better[0][0] if better else f"{FIELD}.path", message, changes=better)])


def question(found: Look, options: Any, dataset: Dataset, name: str, doubt: tuple[str, str] = OF_PICTURES) -> None:
    """Raises RecipeError for a teacher that is wrong far too often, with what would put it right if that is known.

    `options`: with `anyway`. `doubt`: what is asked where nothing is known, and at which option.
    """
    if options.anyway:
        return
    right = f"{name} has an accuracy of {_percent(found.right)} on {found.images} training {dataset.kind.many}"
    if found.suggestion:
        changes = _changes(found.suggestion, options, dataset)
        said = " and ".join(f"{option} {_short(value)}" for option, value in changes.items() if value)
        message = f"{right}; with {said} it has {_percent(found.suggestion.right)}. Use that?"
        raise refusal(message, changes)
    if found.near_chance:
        asked, option = doubt
        refuse(option, f"{right}, and the most frequent class alone would give {_percent(found.chance)}. {asked}")


def _changes(suggestion: Suggestion, options: Any, dataset: Dataset) -> dict[str, Any]:
    """The options that the suggestion asks for."""
    changes: dict[str, Any] = {}
    if suggestion.pixels is not None:
        changes["pixels"] = suggestion.pixels
        changes |= {"mean": [], "std": []} if options.mean else {}
    if suggestion.order is not None:
        changes["class_order"] = [dataset.classes[index] for index in suggestion.order]
    return changes


def _short(value: Any) -> str:
    return some(value) if isinstance(value, list) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
