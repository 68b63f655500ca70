"""What a call's arguments choose: method, steps, training and class names, each refused by its own name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch
from pydantic import ValidationError
from torch import nn

from kdcore import machine, models, registry
from kdcore.compress.traits import StepTraits
from kdcore.distill.traits import part_traits
from kdcore.execute.material import Material
from kdcore.notebook import images, networks
from kdcore.notebook.images import refuse
from kdcore.problems import first_line
from kdcore.recipe import Train
from kdcore.registry import Options
from kdcore.train.order import steps_of

Choice = str | Mapping[str, Any] | Options


def chosen(kind: str, value: Choice, argument: str = "") -> Options:
    """The options of a method or a step, as a Recipe has them."""
    try:
        if isinstance(value, Mapping):
            value = {kind: value.get(kind), **value}
        return registry.validate(kind, value)
    except ValidationError as error:
        _refuse_invalid(argument or kind, error)
    except ValueError as error:
        refuse(argument or kind, first_line(error))


def check_teacher(method: Options, student: nn.Module, teacher: nn.Module | None, example: torch.Tensor) -> None:
    """Refuses a teacher that is not there, that gives other logits, or that has no features where they are wanted."""
    if teacher is None:
        if any(part.teacher for part in part_traits(method)):
            refuse("teacher", f"{registry.entry_of('method', method).name} needs one; hard_labels needs none")
        return
    own, theirs = (networks.classes(one, example) for one in (student, teacher))
    if own != theirs:
        refuse("teacher", f"it knows {theirs} classes, the student {own}: both must give the same logits")
    if any(part.taps for part in part_traits(method)):
        for network, argument in ((student, "student"), (teacher, "teacher")):
            if not models.taps(network):
                refuse(f"taps.{argument}", "no module gives maps before the classifier: name them, taps={...}")


def check_chain(steps: Sequence[Options], done: Sequence[Options] = ()) -> None:
    """Refuses a step that cannot follow one before it."""
    for place, step in enumerate(steps):
        name = registry.entry_of("step", step).name
        for earlier in (*done, *steps[:place]):
            traits, of = StepTraits.of(earlier), registry.entry_of("step", earlier).name
            if traits.final:
                refuse(f"steps.{place}", f"{name} cannot follow {of}, which makes the file that is kept")
            if reason := traits.undone_by(name):
                refuse(f"steps.{place}", reason)


def class_names(classes: Sequence[str] | None, count: int) -> Sequence[str]:
    """The names of all classes: those that are given, or their numbers."""
    if classes is None:
        return [str(place) for place in range(count)]
    if len(classes) != count or len(set(classes)) < count:
        refuse("classes", f"{count} different names are needed, as many as the network gives logits")
    return [str(name) for name in classes]


def training_of(given: Mapping[str, Any] | Train | None, count: int, material: Material) -> Train:
    """How to train, with steps and precision worked out; `count`: the training images."""
    try:
        train = given if isinstance(given, Train) else Train.model_validate(dict(given or {}))
    except ValidationError as error:
        _refuse_invalid("training", error)
    if train.devices > 1:
        refuse("training.devices", "a network of your own exists in this process alone: set it to 1")
    if train.patience and images.judged_by(material) == "validation":
        refuse("test", "with patience, validation images choose the epoch: give test images too")
    steps = train.steps or steps_of(train.epochs or 1, count, train.batch_size)
    return train.model_copy(update={"steps": steps, "epochs": None, "precision": machine.precision(train.precision)})


def _refuse_invalid(argument: str, error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in (argument, *first["loc"]))
    unknown = first["type"] == "extra_forbidden"
    refuse(where, "there is no such option" if unknown else first["msg"].removeprefix("Value error, "))
