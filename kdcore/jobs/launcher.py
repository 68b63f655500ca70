"""What a launcher is: how a worker is started somewhere, watched and ended. The launchers are in `launchers/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from kdcore import registry
from kdcore.files import Damaged
from kdcore.registry import Options
from kdcore.workspace import settings
from kdcore.workspace.workspace import Workspace

Command = Literal["worker", "build"]
CANCELLED = "CANCELLED"  # the condition of a job that somebody has ended


class Refused(RuntimeError):
    """This worker cannot be launched; the message says why."""


class Unreachable(RuntimeError):
    """Whoever launches workers does not answer now; later it may."""


class Job(Protocol):
    """A worker that was launched."""

    @property
    def about(self) -> dict[str, Any]:
        """For the run's status.json, how it is found again: `process` and `host`, or `launcher`, `job` and `host`,
        and the `address` of a cluster that has one."""

    def lives(self) -> bool:
        """Whether it has not ended, or has not even begun. Answers at once."""

    def condition(self) -> str:
        """What its launcher says of it, in a few words, as "PENDING (Resources)"; "" where the process says all."""

    def failed(self) -> bool:
        """Of one that has ended: whether badly."""

    def end(self) -> None:
        """Ends it where it stands."""


class Launcher:
    """Starts workers. The constructor takes its entry's options, and nothing is asked of anybody before `launch`."""

    local = False  # whether its workers have the GPUs of this machine, as the slots divide them
    slots: int | None = None  # how many workers at a time where the settings do not say; None: one for each GPU, or one
    asked: int | None = None  # workers at a time, where whoever started the dispatcher said so
    workers: int | None = None  # of them for one run at most; None: as many as there are slots

    def __init__(self, options: Options):
        self.options = options

    def launch(self, workspace: Workspace, command: Command, run_id: str, chosen: tuple[int, ...]) -> Job:
        """Starts `python -m kdcore COMMAND RUN_ID` in the slots `chosen`; it outlives whoever started it.

        Raises Refused, Unreachable.
        """
        raise NotImplementedError

    def find(self, about: Mapping[str, Any]) -> Job:
        """One that an earlier process launched, by its `about`."""
        raise NotImplementedError

    def check(self, workspace: Workspace) -> str:
        """What was found when it was tried; it may take a minute. Raises Refused, Unreachable."""
        raise NotImplementedError


def of(options: Options) -> Launcher:
    """The launcher that these options belong to."""
    made: Launcher = registry.entry_of("launcher", options).implementation(options)
    return made


def chosen(workspace: Workspace) -> Launcher:
    """As the settings say; the local one where they cannot be read."""
    try:
        return of(settings.read(workspace).launcher)
    except Damaged:
        return of(settings.Settings().launcher)


def job_of(status: Mapping[str, Any] | None) -> Job | None:
    """The job that a run's status.json names; None for a process, or where its launcher is not there any more."""
    if not status or "job" not in status:
        return None
    try:
        entry = registry.entry("launcher", status["launcher"])
    except registry.UnknownEntry:
        return None
    launcher: Launcher = entry.implementation(entry.options())
    return launcher.find(status)


def named(status: Mapping[str, Any]) -> str:
    """The job that a status.json names, in words."""
    return f"{status['launcher'].capitalize()} job {status['job']}"


def in_words(words: Sequence[str]) -> Options:
    """Options from a launcher's name and its OPTION=VALUE. Raises ValueError, which says what is wrong."""
    name, *given = words
    if wrong := [one for one in given if "=" not in one]:
        raise ValueError(f"{wrong[0]!r} is not accepted; give OPTION=VALUE")
    options = dict(one.partition("=")[::2] for one in given)
    try:
        return registry.validate("launcher", {"launcher": name, **options})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except PydanticCustomError as error:
        raise ValueError(str(error)) from None


def words_of(options: Options) -> list[str]:
    """The name of a launcher, and those OPTION=VALUE that are not the usual ones."""
    chosen = options.model_dump(exclude_defaults=True)
    name = getattr(options, "launcher")  # noqa: B009
    return [name, *(f"{option}={value}" for option, value in chosen.items() if option != "launcher")]
