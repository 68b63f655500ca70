"""A person's own pictures: a folder or a .zip of class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from kdcore.data.traits import DatasetTraits
from kdcore.data.types import ARRAYS, Fetch, RawImages, Work
from kdcore.paths import absolute
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register

FIELD = "data.source.path"


class Folder(Options):
    """Where the pictures are, and how large they are made."""

    path: str = Field(
        "",
        description="A folder or a .zip with one folder of pictures per class, with or without train/ and test/.",
    )
    size: int | None = Field(
        None,
        ge=8,
        le=256,
        description="Image size in pixels, cropped from the centre. Empty: the pictures' own size if equal, up to "
        "256; else their median shorter side, up to 224.",
    )
    test_share: float = Field(
        0.2, ge=0.05, le=0.5, description="Share of the pictures used for testing, where there is no test folder."
    )
    splits: bool = Field(
        True,
        description="Look for training and test folders. Off: the outer folders are the classes.",
    )
    test_folder: str = Field(
        "", description="The test folder, where its name does not say so; the others are for training."
    )
    skip_unreadable: bool = Field(
        False, description="Leave out unreadable pictures. Off: they are listed, and nothing is prepared."
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)


class OwnPictures(Fetch):
    """A person's own pictures: nothing is downloaded, but decoding them takes time."""

    def title(self, options: Options) -> str:
        return Path(_path(options)).name

    def stamp(self, options: Options) -> str:
        """Of a .zip its size and time; of a folder those of everything in it that is read (`pictures/watch.py`)."""
        from kdcore.data.pictures import watch

        path = _path(options)
        if not path.name:
            raise RecipeError([Problem(FIELD, "choose the folder or the .zip with your pictures")])
        try:
            found = path.stat()
            if not path.is_dir():
                return f"{found.st_size}-{found.st_mtime_ns}"
            return watch.stamp(path)
        except OSError as error:
            message = f"{path} cannot be read ({error.strerror}): give a folder or a .zip with pictures"
            raise RecipeError([Problem(FIELD, message)]) from None


def _path(options: Options) -> Path:
    assert isinstance(options, Folder)
    return Path(options.path)


@register(
    "dataset",
    "folder",
    "Your own pictures: a folder or a .zip with one folder per class",
    options=Folder,
    traits=DatasetTraits(fetch=OwnPictures("Your pictures")),
)
def folder(options: Folder, work: Work) -> RawImages:
    """The pictures in the order of their names. Decoded in a process of its own, with limits."""
    return decoded(options, work, table=False)


def decoded(options: Folder, work: Work, *, table: bool) -> RawImages:
    """The pictures, labelled by their class folders or by a table. Raises RecipeError."""
    from kdcore.data.pictures import isolated
    from kdcore.data.pictures.names import Refused

    request = options.model_dump() | {"folder": str(work.folder), "table": table}
    try:
        result = isolated.decode(request, work.tell)
    except Refused as error:
        raise RecipeError([Problem(FIELD, f"{_path(options).name}: {error}")]) from None
    arrays = {name: np.load(work.folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return RawImages(
        **arrays,
        classes=tuple(result["classes"]),
        name=_path(options).stem,
        left_out=tuple(result["left_out"]),
        notes=tuple(result["notes"]),
    )
