"""labels.csv beside pictures: which classes each of them shows, however many. Pure functions over its text."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from kdcore.data.ordering import label_set_order
from kdcore.data.pictures.members import Member
from kdcore.data.pictures.names import TABLE, Layout, Parts, Refused, parts
from kdcore.data.pictures.splits import has_both, role, tested

MOST_BYTES = 2**26
MOST_ROWS = 1_000_000
MOST_CLASSES = 1000
MOST_NAME = 100  # characters of a class's name
DELIMITERS = (",", "\t", ";")
Separator = Literal["auto", ";", "|", ",", "space"]  # between the class names of one field
NEEDS = "a column of file names, then one column of 0 and 1 for each class, or one column of class names"


class Row(NamedTuple):
    """A line of the table: its number in the file, from 1 on, and its cells."""

    number: int
    cells: list[str]


def choose(files: Sequence[Member]) -> tuple[Member, list[Member]]:
    """The table among files that are no pictures, and the rest of them. Raises Refused."""
    found = [file for file in files if file.parts[-1].casefold() == TABLE]
    if not found:
        raise Refused(f"there is no {TABLE} next to the pictures: it needs {NEEDS}")
    if len(found) > 1:
        raise Refused(f"{found[0].shown} and {found[1].shown} are two tables: keep one")
    return found[0], [file for file in files if file is not found[0]]


def layout(
    content: bytes,
    at: Parts,
    pictures: Sequence[Parts],
    test_share: float,
    *,
    splits: bool = True,
    test_folder: str = "",
    separator: Separator = "auto",
    unreadable: Sequence[Parts] = (),
) -> Layout:
    """Which picture is in which split, and its label set, as the table at `at` says.

    The table's first line names its columns: file names, then either a column of 0 and 1 for each class, or one column
    of class names separated by ; or | or a comma within quotes, or as `separator` says, which is empty where a picture
    shows none. File names are paths from where the table lies, or names alone where no two pictures share one. Where
    all pictures lie in train/ and test/ (or val/), or one folder is `test_folder`, these are the splits, unless
    `splits` is off; else a fixed stratified share is for testing. The lines of `unreadable` pictures are left out.
    Raises Refused, which names line and column.
    """
    rows = list(_rows(_text(content)))
    header, rows = rows[0], rows[1:]
    if not rows:
        raise Refused(f"{TABLE} has no line below its header: give one for each picture")
    found = _places(rows, at, [*pictures, *unreadable])
    rows, places = (
        [row for row, place in zip(rows, found, strict=True) if place < len(pictures)],
        found[found < len(pictures)],
    )
    classes, sets = _binary(header, rows) if len(header.cells) > 2 else _named(header, rows, separator)
    order = sorted(range(len(places)), key=lambda row: pictures[int(places[row])])
    places, sets = places[order], sets[order]
    held = _tested([pictures[place] for place in places], len(at) - 1, test_folder) if splits else None
    if held is None:
        count = max(round(test_share * len(sets)), len(classes))
        held = np.isin(np.arange(len(sets)), label_set_order(sets, (0, 0))[:count])
    _check_counts(sets, held, classes)
    train, test = ([(int(places[row]), int(row)) for row in np.flatnonzero(part)] for part in (~held, held))
    return Layout(train, test, classes, sets)


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise Refused(f"{TABLE} has more than {MOST_BYTES >> 20} MB: remove what is not needed")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Refused(f"{TABLE}, line {line} is not written in UTF-8: save the table as CSV UTF-8") from None


def _rows(text: str) -> Iterator[Row]:
    """The lines that hold anything, the header first. Raises Refused."""
    first = text.partition("\n")[0]
    delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    width = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row = Row(reader.line_num, [cell.strip() for cell in cells])
            width = width or len(cells)
            if len(cells) != width:
                raise Refused(f"{TABLE}, line {row.number} has {len(cells)} columns, and the header has {width}")
            if row.number > MOST_ROWS:
                raise Refused(f"{TABLE} has more than {MOST_ROWS:,} lines: remove some")
            yield row
    except csv.Error as error:
        raise Refused(f"{TABLE}, line {reader.line_num} cannot be read ({error}): save the table again") from None
    if width < 2:
        raise Refused(f"{TABLE} has fewer than two columns: it needs {NEEDS}")


def _places(rows: Sequence[Row], at: Parts, pictures: Sequence[Parts]) -> np.ndarray:
    """The index of each row's picture. Raises Refused unless rows and pictures belong together, one to one."""
    by_path = {picture: index for index, picture in enumerate(pictures)}
    by_name: dict[str, list[int]] = {}
    for index, picture in enumerate(pictures):
        by_name.setdefault(picture[-1], []).append(index)
    seen: dict[int, int] = {}
    for row in rows:
        place = _place(row, at, by_path, by_name)
        if place in seen:
            raise Refused(f"{TABLE}, line {row.number} repeats {row.cells[0]!r} of line {seen[place]}: keep one")
        seen[place] = row.number
    missing = [picture for index, picture in enumerate(pictures) if index not in seen]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Refused(f"{'/'.join(missing[0])}{more} has no line in {TABLE}: add it, or remove the picture")
    return np.array(list(seen), dtype=np.int64)


def _place(row: Row, at: Parts, by_path: dict[Parts, int], by_name: dict[str, list[int]]) -> int:
    try:
        named = parts(row.cells[0])
    except Refused as error:
        raise Refused(f"{TABLE}, line {row.number}, column 1: {error}") from None
    if (*at[:-1], *named) in by_path:
        return by_path[*at[:-1], *named]
    twins = by_name.get(named[-1], []) if len(named) == 1 else []
    if len(twins) == 1:
        return twins[0]
    if twins:
        raise Refused(f"{TABLE}, line {row.number}: {len(twins)} pictures are called {row.cells[0]!r}: add the folder")
    raise Refused(f"{TABLE}, line {row.number}: picture {row.cells[0]!r} does not exist")


def _binary(header: Row, rows: Sequence[Row]) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes and label sets uint8 (N, K) from a column of 0 and 1 for each class."""
    classes = tuple(header.cells[1:])
    _check_classes(classes)
    sets = np.zeros((len(rows), len(classes)), dtype=np.uint8)
    for held, row in zip(sets, rows, strict=True):
        for column, cell in enumerate(row.cells[1:]):
            if cell not in ("0", "1"):
                raise Refused(
                    f"{TABLE}, line {row.number}, column {classes[column]!r} holds {cell[:40]!r}: 0 and 1 are accepted"
                )
            held[column] = cell == "1"
    return classes, sets


def _named(header: Row, rows: Sequence[Row], separator: Separator) -> tuple[tuple[str, ...], np.ndarray]:
    """The same from one column of class names."""
    marks = _marks([row.cells[1] for row in rows], separator)
    lists = [[name.strip() for name in re.split(marks, row.cells[1])] if row.cells[1] else [] for row in rows]
    for row, names in zip(rows, lists, strict=True):
        if "" in names:
            raise Refused(f"{TABLE}, line {row.number}, column {header.cells[1]!r}: a class has no name")
    classes = tuple(sorted({name for names in lists for name in names}))
    _check_classes(classes)
    place = {name: index for index, name in enumerate(classes)}
    sets = np.zeros((len(rows), len(classes)), dtype=np.uint8)
    for held, names in zip(sets, lists, strict=True):
        held[[place[name] for name in names]] = 1
    return classes, sets


def _marks(cells: Sequence[str], separator: Separator) -> str:
    """What separates the class names of these fields, as a regular expression. Raises Refused where it is not clear."""
    if separator != "auto":
        return r"\s+" if separator == "space" else re.escape(separator)
    if any(mark in cell for cell in cells for mark in ";|"):
        return "[;|]"
    if any("," in cell for cell in cells):
        return ","
    words = Counter(word for cell in set(cells) for word in set(cell.split()))
    several = next((cell for cell in cells if len(cell.split()) > 1 and any(words[w] > 1 for w in cell.split())), None)
    if several:
        count = len(several.split())
        raise Refused(
            f"{TABLE} has labels such as {several!r}: is that one class or {count}? "
            f"Set separator to space for {count}, or to ; for one"
        )
    return "[;|]"


def _check_classes(classes: Sequence[str]) -> None:
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise Refused(f"{TABLE} names {len(classes)} classes; 2 to {MOST_CLASSES} are accepted. It needs {NEEDS}")
    seen: dict[str, str] = {}
    for name in classes:
        if not name or len(name) > MOST_NAME or not name.isprintable():
            raise Refused(
                f"{TABLE}: {name[:40]!r} is not a valid class name: 1 to {MOST_NAME} printable characters are accepted"
            )
        twin = seen.get(name.casefold())
        if twin is not None:
            raise Refused(
                f"{TABLE}: classes {twin!r} and {name!r} have the same name, or differ only in upper and lower case"
            )
        seen[name.casefold()] = name


def _tested(pictures: Sequence[Parts], depth: int, test_folder: str) -> np.ndarray | None:
    """Which pictures are for testing, bool (N,), where folders `depth` folders down are the splits; else None."""
    tops = [picture[depth] if len(picture) > depth + 1 else "" for picture in pictures]
    if test_folder:
        held_out = frozenset(top for top in tops if top.casefold() == test_folder.strip(" /").casefold())
        if not held_out:
            raise Refused(f"there is no test folder {test_folder!r} next to {TABLE}")
        return np.array([top in held_out for top in tops])
    roles = {top: role(top) for top in tops}
    if None in roles.values() or not has_both(roles.values()):
        return None
    held_out = tested(roles)
    return np.array([top in held_out for top in tops])


def _check_counts(sets: np.ndarray, tested: np.ndarray, classes: Sequence[str]) -> None:
    trained, held_out = sets[~tested].sum(axis=0), sets[tested].sum(axis=0)
    for name, train, test in zip(classes, trained, held_out, strict=True):
        if train < 2 or test < 1:
            raise Refused(
                f"class {name!r} is in {train} training and {test} test pictures: it needs at least 2 and 1, or 4 "
                "in all without train and test folders"
            )
