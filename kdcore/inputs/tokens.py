"""Texts as token ids: the tokenizer, and many texts of different lengths in flat arrays."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kdcore import arrays
from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.ids import FIRST, UNKNOWN
from kdcore.inputs.ragged import Ragged
from kdcore.inputs.wordpiece import WordPieces

KINDS = (np.int32, np.int64, np.uint8, np.int64)  # of the arrays of Texts


@dataclass(frozen=True)
class Characters:
    """One token a character: `alphabet` in the order of their ids, from FIRST. Texts are cut after `longest`."""

    alphabet: str
    longest: int

    @classmethod
    def of(cls, texts: Iterable[str], longest: int) -> Characters:
        """The tokenizer of these texts, normalised: all characters that occur."""
        return cls("".join(sorted(set().union(*map(set, texts)))), longest)

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        return FIRST + len(self.alphabet)

    @property
    def unknown(self) -> int:
        """The id of what the alphabet does not have."""
        return UNKNOWN

    @cached_property
    def characters(self) -> np.ndarray:
        """How many characters each token is, from FIRST on, float64 (K,)."""
        return np.ones(len(self.alphabet))

    @cached_property
    def digest(self) -> str:
        """What distinguishes it from other tokenizers, 8 hex digits."""
        return hashlib.sha256(json.dumps(self.document()).encode()).hexdigest()[:8]

    def document(self) -> dict[str, Any]:
        """What its file holds."""
        return {"tokenizer": "characters", "alphabet": self.alphabet, "longest": self.longest}

    def encoded(self, texts: Sequence[str]) -> Ragged:
        """Ids int32 of texts that are normalised; an unknown character is UNKNOWN, and so is an empty text."""
        cut = [text[: self.longest] or "\0" for text in texts]
        known = np.frombuffer(self.alphabet.encode("utf-32-le", "surrogatepass"), np.uint32)
        codes = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), np.uint32)
        places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        ids = np.where(known[places] == codes, places + FIRST, UNKNOWN).astype(np.int32)
        made = Ragged(ids, np.cumsum([len(text) for text in cut], dtype=np.int64))
        made.flat[made.ends[[not text for text in texts]] - 1] = UNKNOWN
        return made

    def opening(self, text: str) -> np.ndarray:
        """Ids int32 of a whole text, however long."""
        return Characters(self.alphabet, len(text)).encoded([text]).flat

    def decoded(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of these ids; what the alphabet does not have is a question mark."""
        return "".join(self.alphabet[one - FIRST] if one >= FIRST else "?" for one in ids)


Tokenizer = Characters | WordPieces
Continuing = Characters | BytePairs  # of running text


def read(document: dict[str, Any]) -> Tokenizer | BytePairs:
    """The tokenizer of a `document`. Raises KeyError, TypeError, ValueError."""
    if document["tokenizer"] == "wordpiece":
        return WordPieces.read(document)
    if document["tokenizer"] == "byte pairs":
        return BytePairs.read(document)
    return Characters(document["alphabet"], document["longest"])


def normalised(text: str) -> str:
    """Composed characters (NFC), without spaces around it and with single ones within."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class Texts:
    """N texts as data sets hold them: `ids` of their tokens, and the texts themselves, `raw` as UTF-8."""

    def __init__(self, ids: Ragged, raw: Ragged, tokenizer: Tokenizer):
        self.ids, self.raw, self.tokenizer = ids, raw, tokenizer

    @classmethod
    def of(cls, texts: Iterable[str], tokenizer: Tokenizer) -> Texts:
        """Tokenised now, once and for all."""
        clean = [normalised(text) for text in texts]
        encoded = [text.encode("utf-8", "replace") for text in clean]
        raw = Ragged(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(list(map(len, encoded)), dtype=np.int64))
        return cls(tokenizer.encoded(clean), raw, tokenizer)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, T): texts, and all their tokens."""
        return len(self), len(self.ids.flat)

    @cached_property
    def median(self) -> int:
        """Tokens of the text in the middle."""
        return int(np.median(self.ids.lengths))

    def __len__(self) -> int:
        return len(self.ids.ends)

    def __getitem__(self, places: Any) -> Texts:
        """Those at these places: an array of numbers or of bool, or a slice."""
        rows = np.arange(len(self))[places]
        return Texts(self.ids.rows(rows), self.raw.rows(rows), self.tokenizer)

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(len(self)))

    def text(self, place: int) -> str:
        """One text, as people read it."""
        return self.raw.row(place).tobytes().decode("utf-8", "replace")

    def sound(self) -> bool:
        """Whether arrays out of a file are such as `of` makes: known tokens, in rows that follow each other."""
        kinds = [array.dtype == kind for array, kind in zip(self.arrays().values(), KINDS, strict=True)]
        rows = (part.lengths.min(initial=1) >= least and part.ends[-1:].sum() == len(part.flat)
                for part, least in ((self.ids, 1), (self.raw, 0)))  # fmt: skip
        ids = self.ids.flat
        return all(kinds) and all(rows) and 0 < ids.min(initial=1) <= ids.max(initial=1) < self.tokenizer.vocabulary

    def arrays(self) -> dict[str, np.ndarray]:
        """All that it consists of, beside its tokenizer, by name."""
        return {"ids": self.ids.flat, "id-ends": self.ids.ends, "text": self.raw.flat, "text-ends": self.raw.ends}

    def chunks(self) -> Iterator[bytes | memoryview]:
        """All of its bytes."""
        yield json.dumps(self.tokenizer.document()).encode()
        for array in self.arrays().values():
            yield from arrays.chunks(array)
