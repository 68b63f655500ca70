"""Who acts, and what that person may do: the one place that every action passes.

Whoever works on the machine itself may do everything. A dashboard that serves several people says with `identify` who
presses a button.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from kdcore.problems import Problem, RecipeError

Role = Literal["look", "launch", "manage"]


class Person(NamedTuple):
    """`id`: empty for whoever works on the machine itself. `role`: look at everything; launch runs of one's own too;
    manage everybody's runs, the settings and the disk too."""

    id: str
    name: str
    role: Role


class Refused(RecipeError):
    """The person who acts may not do this; the message says why and what helps."""

    def __init__(self, reason: str):
        super().__init__([Problem("person", reason)])

    def __str__(self) -> str:
        return self.problems[0].message


OPERATOR = Person("", "", "manage")
VISITOR = Person("", "visitor", "look")

_identify: Callable[[], Person] = lambda: OPERATOR  # noqa: E731


def identify(by: Callable[[], Person]) -> None:
    """From now on `by` says who acts in this process."""
    global _identify  # noqa: PLW0603
    _identify = by


def who() -> Person:
    """Who acts here and now."""
    return _identify()


def to_launch() -> str:
    """Why the person may not start anything; empty where they may."""
    if who().role != "look":
        return ""
    return "You may look, not start or change anything: ask the lecturer for the role *launch*"


def to_change(owner: str | None) -> str:
    """Why the person may not change a run of this owner; empty where they may."""
    person = who()
    if person.role == "manage" or (person.role == "launch" and person.id and person.id == owner):
        return ""
    return to_launch() or "This run is somebody else's: duplicate it to have one of your own"


def to_manage() -> str:
    """Why the person may not change what is everybody's; empty where they may."""
    return "" if who().role == "manage" else "Only the lecturer (the role *manage*) changes what is everybody's"


def require(refusal: str) -> None:
    """Raises Refused where there is a reason to."""
    if refusal:
        raise Refused(refusal)
