"""What the names in a folder or an archive mean, each by itself: junk, pictures, tables. Pure functions over names."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
FOREIGN = (  # pictures of kinds that are not read
    ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".j2k", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2",
    ".raf", ".psd", ".svg", ".tga", ".exr", ".hdr", ".dcm", ".nii", ".npy",
)  # fmt: skip
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
        raise Refused(f"{shown!r} is not a Unicode name: rename the file") from None
    flat = name.replace("\\", "/")
    if flat.startswith("/") or re.match(r"[A-Za-z]:/", flat):
        raise Refused(f"{shown!r} is an absolute path: create the archive from within the folder")
    pieces = tuple(unicodedata.normalize("NFC", piece) for piece in flat.split("/") if piece not in ("", "."))
    if ".." in pieces:
        raise Refused(f"{shown!r} leads out of the archive: create the archive from within the folder")
    if any(unicodedata.category(letter) == "Cc" for letter in flat):
        raise Refused(f"{shown!r} has control characters in its name: rename it")
    return pieces


def is_junk(pieces: Parts) -> bool:
    """Whether an operating system left it there: hidden files, thumbnails, resource forks."""
    return not pieces or any(piece.startswith(".") or piece.casefold() in JUNK for piece in pieces)


def is_picture(pieces: Parts) -> bool:
    """Whether the name says that it is a picture of a kind that is read."""
    return pieces[-1].casefold().endswith(SUFFIXES)


def is_foreign(pieces: Parts) -> bool:
    """Whether the name says that it is a picture of a kind that is not read."""
    return pieces[-1].casefold().endswith(FOREIGN)
