"""A CSV or TSV of a person's own with one text and one label a row, read line by line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kdcore.data.texts.build import Labelled

LONGEST_LINE = 100_000  # bytes
MOST_CLASSES = 1000
LEAST = 4  # texts of a class: for training, validation and testing
DELIMITERS = ("\t", ",", ";")
SHOWN = 60  # characters of a name in a message


class Refused(ValueError):
    """The table cannot be used; the message says where and why, and what would do."""


def read(path: Path, text: str, label: str) -> tuple[Labelled, int]:
    """The rows of the table whose columns are called `text` and `label`, and how many rows without one were left out.

    UTF-8, with a row of names first; separated by tabs, commas or semicolons. Raises Refused, OSError.
    """
    with path.open("rb") as file:
        lines = _lines(file)
        header = next(lines, "")
        if not header.strip():
            raise Refused(f"the first line is empty: it must name the columns, such as {text},{label}")
        delimiter = max(DELIMITERS, key=header.count)
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
        places = _place(names, text), _place(names, label)
        return _rows(csv.reader(lines, delimiter=delimiter, strict=True), *places)


def _lines(file: BinaryIO) -> Iterator[str]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > LONGEST_LINE:
            raise Refused(
                f"line {number} has more than {LONGEST_LINE:,} bytes: shorten it, or close its quotation mark"
            )
        if b"\0" in line:
            raise Refused(f"line {number} contains a null character: save the table as CSV UTF-8")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(f"line {number} is not written in UTF-8: save the table as CSV UTF-8") from None


def _place(names: list[str], wanted: str) -> int:
    if wanted not in names:
        shown = ", ".join(repr(name[:SHOWN]) for name in names[:8])
        raise Refused(f"there is no column {wanted!r}; there are: {shown}. The first line must name the columns")
    return names.index(wanted)


def _rows(reader: Iterator[list[str]], text: int, label: int) -> tuple[Labelled, int]:
    found, left_out = Labelled([], []), 0
    texts: list[str] = []
    labels: list[str] = []
    try:
        for row in reader:
            if len(row) > max(text, label) and row[text].strip() and row[label].strip():
                texts.append(row[text])
                labels.append(row[label].strip())
            else:
                left_out += 1
    except csv.Error as error:
        raise Refused(f"row {len(texts) + left_out + 1} cannot be read ({error}): check its quotation marks") from None
    found = Labelled(texts, labels)
    _check(Counter(labels))
    return found, left_out


def _check(count: Counter[str]) -> None:
    if not count:
        raise Refused("no row has a text and a label")
    if len(count) == 1:
        raise Refused(f"all texts have the label {next(iter(count))[:SHOWN]!r}: two classes are needed at least")
    if len(count) > MOST_CLASSES:
        raise Refused(f"there are {len(count):,} different labels, at most {MOST_CLASSES:,} are accepted")
    name, least = min(count.items(), key=lambda item: item[1])
    if least < LEAST:
        raise Refused(
            f"class {name[:SHOWN]!r} has {least} texts; it needs {LEAST}, for training, validation and testing"
        )
