"""The lessons: a question, a prediction, a run that answers it, and why. One file each in `course`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdcore.lessons.lesson import Lesson


class UnknownLesson(LookupError):
    """There is no lesson of this name; the message lists those that there are."""


@cache
def lessons() -> tuple[Lesson, ...]:
    """All lessons, in the order in which they are taken."""
    package = importlib.import_module("kdcore.lessons.course")
    modules = [
        importlib.import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)
    ]
    return tuple(sorted((module.LESSON for module in modules), key=lambda lesson: lesson.order))


def find(name: str) -> Lesson:
    """The lesson of this name. Raises UnknownLesson."""
    for known in lessons():
        if known.name == name:
            return known
    raise UnknownLesson(f"there is no lesson {name!r}; there are: {', '.join(known.name for known in lessons())}")
