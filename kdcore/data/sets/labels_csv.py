"""A person's own pictures with several labels each: a folder or a .zip of them, and labels.csv."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kdcore.data.sets.folder import Folder, OwnPictures, decoded
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import RawImages, Work
from kdcore.registry import register


class LabelsCsv(Folder):
    """Where the pictures and their table are, and how large they are made."""

    path: str = Field(
        "",
        description="A folder or a .zip with pictures and labels.csv: a column of file names, then a column of 0 and"
        " 1 for each class, or one column of class names separated by ; or |. With or without train/ and"
        " test/.",
    )
    separator: Literal["auto", ";", "|", ",", "space"] = Field(
        "auto",
        description="Separator of several class names in one field. auto: ; or |, else a comma; if it may be a "
        "space, you are asked.",
    )


@register(
    "dataset",
    "labels_csv",
    "Your own pictures with several labels each: a folder or a .zip with labels.csv",
    options=LabelsCsv,
    traits=DatasetTraits(fetch=OwnPictures("Your pictures")),
)
def labels_csv(options: LabelsCsv, work: Work) -> RawImages:
    """The pictures in the order of their names. Decoded in a process of its own, with limits."""
    return decoded(options, work, table=True)
