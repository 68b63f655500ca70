"""What a teacher's source is: where a teacher comes from that is, or is not, trained by the run itself."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

from kdcore.data.types import Dataset
from kdcore.inputs import Shape
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

O = TypeVar("O", bound=Options)  # noqa: E741
FIELD = "teacher.source"

# What a teacher can be asked for: its features and weights too, its answers to any view, or the answers on record.
Gives = Literal["features", "answers", "table"]


class StoredModel(NamedTuple):
    """A finished model of the workspace.

    `fingerprint`: of the data set that it was made on; None where no run says. `architecture`: None where it has none
    of ours. `gives`: what it can teach with. `closed`: as in ExternalTeacher.
    """

    key: str
    folder: Path
    name: str
    fingerprint: str | None
    classes: tuple[str, ...]
    shape: Shape
    architecture: dict[str, Any] | None
    params: int | None
    macs: int | None
    gives: Gives
    closed: str = ""


Find = Callable[[str, str], StoredModel]


@dataclass(frozen=True)
class ExternalTeacher:
    """A teacher that the run does not train, as the plan knows it.

    `content`: what it is made of, 64 hex digits: the sha256 of a file, or the key of a model. `place`: where that is
    now. `as_it_is`: the content is a model that stands in the table itself. `spec`: what else its model depends on.
    `closed`: of one that gives answers, why no step can work on its file; empty where its graph holds fp32 weights.
    `architecture`, `params`, `macs` (of one image): None where they are not known. `note`: what the table must say.
    """

    content: str
    place: Path
    gives: Gives
    as_it_is: bool = False
    closed: str = "only its outputs are known"
    spec: Mapping[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] | None = None
    params: int | None = None
    macs: int | None = None
    note: str = ""


@dataclass(frozen=True)
class LoadedTeacher:
    """What a teacher consists of that was not trained: a network, an ONNX file, or its answers.

    `onnx`: the file to deploy, where it is not the network's export; it takes pixels in [0, 1] and gives logits.
    `answers`: "train", logits (N, K) for all training images of the data set, and "test" where they are known.
    `report`: parts of its model's report, `cost` among them where there is no network to count. `described`: what the
    network is rebuilt from, where that is not this data set's.
    """

    network: nn.Module | None = None
    onnx: Path | None = None
    answers: Mapping[str, np.ndarray] | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    described: Mapping[str, Any] | None = None


class Source(Generic[O]):
    """Base of all sources. Made from its validated options: `given` is asked by the plan, `bring` by the worker."""

    def __init__(self, options: O):
        self.options = options

    def given(self, architecture: Options, dataset: Dataset, find: Find) -> ExternalTeacher | None:
        """The teacher, without torch; None where the run trains it. `architecture`: the Recipe's, of the teacher.

        Raises RecipeError.
        """
        return None

    def bring(
        self, content: Path, architecture: Mapping[str, Any] | None, dataset: Dataset, scratch: Path
    ) -> LoadedTeacher:
        """The teacher itself. `content`: a copy of the file that was planned with, or a model's folder.

        `architecture`: the one that the plan's spec names. `scratch`: a folder for files of its own.
        """
        raise NotImplementedError


class ChangedFile(ValueError):
    """A file is no longer what it was when the run was planned."""


def refuse(option: str, message: str) -> NoReturn:
    """Raises RecipeError at an option of the source."""
    raise RecipeError([Problem(f"{FIELD}.{option}", message)])


def file_at(path: str, what: str, most_bytes: int) -> tuple[Path, str]:
    """An existing file of at most so many bytes, and its sha256. Raises RecipeError."""
    if not path.strip():
        refuse("path", f"choose the file: {what}")
    try:
        place = Path(path).expanduser().absolute()
        about = place.stat()
    except (OSError, ValueError, RuntimeError):  # no such file, user or name
        refuse("path", f"file {path} does not exist; give the path of {what}")
    if not S_ISREG(about.st_mode):
        refuse("path", f"{place} is not a file; give the path of {what}")
    if not 0 < about.st_size <= most_bytes:
        refuse("path", f"{place} has {about.st_size:,} bytes; 1 to {most_bytes:,} are accepted")
    try:
        return place, _digest(place, about.st_mtime_ns, about.st_size)
    except OSError as error:
        refuse("path", f"{place} cannot be read: {error.strerror}")


@lru_cache(maxsize=64)
def _digest(path: Path, _written: int, _bytes: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copied(place: Path, content: str, folder: Path) -> Path:
    """A copy of the file in `folder`, out of reach of others. Raises ChangedFile unless its sha256 is `content`."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"teacher{place.suffix.lower()}"
    try:
        shutil.copyfile(place, copy)
    except OSError as error:
        raise ChangedFile(
            f"the teacher's file {place} cannot be read any more ({error.strerror}): restore it, or start a new run"
        ) from None
    with copy.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != content:
            raise ChangedFile(
                f"the teacher's file {place} has changed since the run was planned: restore the old one, or start"
                " a new run"
            )
    return copy
