"""Which picture is in which split and class, by its folders. Pure functions over names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kdcore.data.ordering import stratified_order
from kdcore.data.pictures.names import SUFFIXES, Layout, Parts, Refused
from kdcore.data.pictures.splits import Splits
from kdcore.data.pictures.splits import splits as found_splits


def layout(names: Sequence[Parts], test_share: float, *, splits: bool = True, test_folder: str = "") -> Layout:
    """Which picture is in which split and class: class folders, with or without training and test folders around them.

    Folders that hold everything are passed over. Where there is a training and no test folder, the validation folder is
    the test split; where there are all three, it joins training, as validation is drawn from training later. Without
    any, a fixed stratified share is the test split. `splits`: off, the outer folders are the classes whatever they
    hold; `test_folder`: the outer folder for testing, where its name does not say so. Raises Refused.
    """
    if not names:
        raise Refused(f"there are no pictures: put files that end in {', '.join(SUFFIXES)} into one folder per class")
    inner, owners, split = _owners(names, splits, test_folder)
    for name, owner in zip(names, owners, strict=True):
        if len(owner) < 2:
            raise Refused(f"{'/'.join(name)} is not in a class folder: put it into a folder named after its class")
    classes = tuple(sorted({owner[0] for owner in owners}))
    _check_classes(classes)
    order = sorted(range(len(names)), key=lambda index: owners[index])
    number = {name: label for label, name in enumerate(classes)}
    labels = {index: number[owners[index][0]] for index in order}
    if split:
        rows = [(index, labels[index], inner[index][0] in split.tested) for index in order]
    else:
        rows = _drawn([(index, labels[index]) for index in order], test_share, len(classes))
    train = [(index, label) for index, label, is_test in rows if not is_test]
    test = [(index, label) for index, label, is_test in rows if is_test]
    _check_counts(train, test, classes, bool(split))
    return Layout(train, test, classes)


def lost(
    readable: Sequence[Parts], unreadable: Sequence[Parts], *, splits: bool = True, test_folder: str = ""
) -> dict[str, list[Parts]]:
    """The classes of which no picture can be read, and their files."""
    shallowest = min(map(len, readable), default=0)
    unreadable = [name for name in unreadable if len(name) >= shallowest]  # others lie beside the class folders
    names = [*readable, *unreadable]
    if not unreadable:
        return {}
    owners = [owner[0] if len(owner) > 1 else None for owner in _owners(names, splits, test_folder)[1]]
    found: dict[str, list[Parts]] = {}
    for name, owner in zip(unreadable, owners[len(readable) :], strict=True):
        if owner is not None and owner not in owners[: len(readable)]:
            found.setdefault(owner, []).append(name)
    return found


def _owners(names: Sequence[Parts], splits: bool, test_folder: str) -> tuple[list[Parts], list[Parts], Splits | None]:
    """The names from within the folders that hold everything, the same from the class folder on, and the splits."""
    depth = _common(names)
    inner = [name[depth:] for name in names]
    split = found_splits(inner, test_folder) if splits else None
    return inner, [name[split.depth :] if split else name for name in inner], split


def _common(names: Sequence[Parts]) -> int:
    """How many outer folders hold everything and still leave room for a class folder."""
    depth = 0
    while len({name[depth] for name in names}) == 1 and min(map(len, names)) > depth + 2:
        depth += 1
    return depth


def _drawn(rows: Sequence[tuple[int, int]], share: float, classes: int) -> list[tuple[int, int, bool]]:
    """The rows, a fixed stratified share of them for testing."""
    labels = np.array([label for _, label in rows])
    count = max(round(share * len(rows)), classes)
    test = set(stratified_order(labels, (0, 0))[:count].tolist())
    return [(index, label, place in test) for place, (index, label) in enumerate(rows)]


def _check_classes(classes: Sequence[str]) -> None:
    if len(classes) < 2:
        raise Refused(f"there is only one class, {classes[0]!r}: put the pictures into at least two class folders")
    seen: dict[str, str] = {}
    for name in classes:
        twin = seen.setdefault(name.casefold(), name)
        if twin != name:
            raise Refused(
                f"classes {twin!r} and {name!r} differ only in upper and lower case: rename one, or merge them"
            )


def _check_counts(
    train: Sequence[tuple[int, int]], test: Sequence[tuple[int, int]], classes: Sequence[str], split: bool
) -> None:
    trained, tested = Counter(label for _, label in train), Counter(label for _, label in test)
    for label, name in enumerate(classes):
        if split and trained[label] < 2:
            raise Refused(f"class {name!r} has too few training pictures ({trained[label]}): it needs at least 2")
        if split and not tested[label]:
            raise Refused(f"class {name!r} has no test picture: add some, or remove the test folder")
        if not split and (trained[label] < 2 or not tested[label]):
            count = trained[label] + tested[label]
            raise Refused(f"class {name!r} has too few pictures ({count}): it needs at least 4")
