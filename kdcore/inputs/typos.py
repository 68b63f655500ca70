"""Texts as people type them: five kinds of mistake, each on a share of the letters."""

from __future__ import annotations

import unicodedata
import zlib
from functools import lru_cache

import numpy as np

TITLES = {
    "replaced": "Wrong letters",
    "missing": "Missing letters",
    "doubled": "Doubled letters",
    "swapped": "Swapped letters",
    "case": "Upper and lower case",
}
SHARES = (0.05, 0.1, 0.15, 0.2, 0.3)  # at severity 1 to 5


def corrupted(text: str, name: str, share: float, alphabet: str, seed: int = 0) -> str:
    """The text with about this share of its letters mistyped; those of a smaller share are among those of a larger one.

    Chance derives from the seed and the text itself. `alphabet`: where wrong letters come from: of the same script and
    case. What is left has one letter at least. Raises KeyError for an unknown name.
    """
    chance = np.random.RandomState([seed, zlib.crc32(f"{name} {text}".encode("utf-8", "replace"))])
    hit = chance.random_sample(len(text)) < share
    which = chance.randint(2**31, size=len(text))
    changed = _WAYS[name](text, hit & np.array([letter.isalpha() for letter in text], bool), which, alphabet)
    return changed or text[:1]


def _replaced(text: str, hit: np.ndarray, which: np.ndarray, alphabet: str) -> str:
    others = [_alike(letter, alphabet) for letter in text]
    return "".join(
        other[number % len(other)] if struck and other else letter
        for letter, struck, number, other in zip(text, hit, which, others, strict=True)
    )


@lru_cache(maxsize=4096)
def _alike(letter: str, alphabet: str) -> str:
    """Other letters of its script and case."""
    script, upper = _script(letter), letter.isupper()
    return "".join(
        other
        for other in alphabet
        if other.isalpha() and other != letter and other.isupper() == upper and _script(other) == script
    )


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _missing(text: str, hit: np.ndarray, which: np.ndarray, alphabet: str) -> str:
    return "".join(letter for letter, struck in zip(text, hit, strict=True) if not struck)


def _doubled(text: str, hit: np.ndarray, which: np.ndarray, alphabet: str) -> str:
    return "".join(letter * (2 if struck else 1) for letter, struck in zip(text, hit, strict=True))


def _swapped(text: str, hit: np.ndarray, which: np.ndarray, alphabet: str) -> str:
    letters = list(text)
    for place in np.flatnonzero(hit[:-1]):
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _case(text: str, hit: np.ndarray, which: np.ndarray, alphabet: str) -> str:
    return "".join(letter.swapcase() if struck else letter for letter, struck in zip(text, hit, strict=True))


_WAYS = {"replaced": _replaced, "missing": _missing, "doubled": _doubled, "swapped": _swapped, "case": _case}
