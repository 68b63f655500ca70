"""What the names in a folder or an archive mean: junk, pictures, splits and classes. Pure functions over names."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kdcore.data.ordering import stratified_order

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
JUNK = ("thumbs.db", "desktop.ini", "__macosx")
TRAIN, TEST, VALIDATION = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")
TABLE = "labels.csv"
SPLITS = (*TRAIN, *TEST, *VALIDATION)

Parts = tuple[str, ...]


class Refused(ValueError):
    """These pictures cannot be taken; the message names the file and what to do."""


class Layout(NamedTuple):
    """(index of the name, label) in the order of the arrays, and the class names.

    `sets`: where pictures have several labels each, uint8 (N, K), and labels are rows of it.
    """

    train: list[tuple[int, int]]
    test: list[tuple[int, int]]
    classes: tuple[str, ...]
    sets: np.ndarray | None = None


def parts(name: str) -> Parts:
    """The folders and the file that a member's name spells, in Unicode's composed form.

    Raises Refused for a name that leads out of its archive or that no file should have.
    """
    shown = name.encode("utf-8", "replace").decode()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Refused(f"{shown!r} is no Unicode name: rename the file") from None
    flat = name.replace("\\", "/")
    if flat.startswith("/") or re.match(r"[A-Za-z]:/", flat):
        raise Refused(f"{shown!r} is an absolute path: make the archive again from within the folder")
    pieces = tuple(unicodedata.normalize("NFC", piece) for piece in flat.split("/") if piece not in ("", "."))
    if ".." in pieces:
        raise Refused(f"{shown!r} leads out of the archive: make the archive again from within the folder")
    if any(unicodedata.category(letter) == "Cc" for letter in flat):
        raise Refused(f"{shown!r} has control characters in its name: rename it")
    return pieces


def is_junk(pieces: Parts) -> bool:
    """Whether an operating system left it there: hidden files, thumbnails, resource forks."""
    return not pieces or any(piece.startswith(".") or piece.casefold() in JUNK for piece in pieces)


def is_picture(pieces: Parts) -> bool:
    """Whether the name says that it is a picture of a kind that is read."""
    return pieces[-1].casefold().endswith(SUFFIXES)


def layout(names: Sequence[Parts], test_share: float) -> Layout:
    """Which picture is in which split and class: class folders, with or without train/ and test/ around them.

    Folders that hold everything are passed over. Where there is train/ and no test/, val/ is the test split; where
    there are all three, val/ joins train/, as validation is drawn from training later. Without any, a fixed stratified
    share is the test split. Raises Refused.
    """
    if not names:
        raise Refused(f"there are no pictures: put files that end in {', '.join(SUFFIXES)} into one folder a class")
    depth = _common(names)
    inner = [name[depth:] for name in names]
    split = _is_split(inner)
    owners = [name[1:] if split else name for name in inner]
    for name, owner in zip(names, owners, strict=True):
        if len(owner) < 2:
            raise Refused(
                f"{'/'.join(name)} lies in no class folder: put it into a folder that is named after its class"
            )
    classes = tuple(sorted({owner[0] for owner in owners}))
    _check_classes(classes)
    order = sorted(range(len(names)), key=lambda index: owners[index])
    number = {name: label for label, name in enumerate(classes)}
    labels = {index: number[owners[index][0]] for index in order}
    if split:
        tested = _tested({name[0].casefold() for name in inner})
        rows = [(index, labels[index], inner[index][0].casefold() in tested) for index in order]
    else:
        rows = _drawn([(index, labels[index]) for index in order], test_share, len(classes))
    train = [(index, label) for index, label, is_test in rows if not is_test]
    test = [(index, label) for index, label, is_test in rows if is_test]
    _check_counts(train, test, classes, split)
    return Layout(train, test, classes)


def _common(names: Sequence[Parts]) -> int:
    """How many outer folders hold everything and still leave room for a class folder."""
    depth = 0
    while len({name[depth] for name in names}) == 1 and min(map(len, names)) > depth + 2:
        depth += 1
    return depth


def _is_split(names: Sequence[Parts]) -> bool:
    """Whether the outermost folders are splits. Raises Refused where some are and some are not."""
    tops = {name[0].casefold(): name[0] for name in names if len(name) > 1}
    has_train = any(top in TRAIN for top in tops)
    has_test = any(top in (*TEST, *VALIDATION) for top in tops)
    if not (has_train and has_test):
        return False
    others = [shown for top, shown in tops.items() if top not in SPLITS]
    deep = any(len(name) > 2 for name in names if name[0].casefold() in SPLITS)
    if others and deep:
        raise Refused(f"{others[0]}/ lies beside the training and test folders: move it into them, or away")
    return not others


def _tested(tops: set[str]) -> tuple[str, ...]:
    """Which of the split folders are the test split."""
    return TEST if any(top in TEST for top in tops) else VALIDATION


def _drawn(rows: Sequence[tuple[int, int]], share: float, classes: int) -> list[tuple[int, int, bool]]:
    """The rows, a fixed stratified share of them for testing."""
    labels = np.array([label for _, label in rows])
    count = max(round(share * len(rows)), classes)
    test = set(stratified_order(labels, (0, 0))[:count].tolist())
    return [(index, label, place in test) for place, (index, label) in enumerate(rows)]


def _check_classes(classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise Refused(f"there is one class alone, {classes[0]!r}: put the pictures into at least two class folders")
    seen: dict[str, str] = {}
    for name in classes:
        twin = seen.setdefault(name.casefold(), name)
        if twin != name:
            raise Refused(
                f"classes {twin!r} and {name!r} differ by upper and lower case alone: rename one, or join them"
            )


def _check_counts(
    train: Sequence[tuple[int, int]], test: Sequence[tuple[int, int]], classes: Sequence[str], split: bool
) -> None:
    trained, tested = Counter(label for _, label in train), Counter(label for _, label in test)
    for label, name in enumerate(classes):
        if split and trained[label] < 2:
            raise Refused(f"class {name!r} has too few training pictures ({trained[label]}): it needs 2 at least")
        if split and not tested[label]:
            raise Refused(f"class {name!r} has no test picture: add some, or leave the test folder out altogether")
        if not split and (trained[label] < 2 or not tested[label]):
            count = trained[label] + tested[label]
            raise Refused(f"class {name!r} has too few pictures ({count}): it needs 4 at least")
