"""Running text as the byte-level BPE tokens of a published GPT-2 (Radford et al. 2019, section 2.2), cut by
`tokenizers`."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kdcore import hub
from kdcore.inputs.ids import FIRST
from kdcore.inputs.ragged import Ragged
from kdcore.inputs.wordpiece import MissingExtra, words_of

Merge = tuple[str, str]
# GPT-2 writes each byte as a letter that can be seen: its own where it has one, else one from 256 on.
SEEN = [*range(33, 127), *range(161, 173), *range(174, 256)]
LETTERS = {byte: chr(byte) for byte in SEEN} | {
    byte: chr(256 + place) for place, byte in enumerate(byte for byte in range(256) if byte not in SEEN)
}
BYTES = {letter: byte for byte, letter in LETTERS.items()}


@dataclass(frozen=True)
class BytePairs:
    """`words`: tokens in the order of their ids, from FIRST, written in GPT-2's letters for bytes. `merges`: pairs that
    become one token, the first of them first. `places`: where each word stands in the published tokenizer, `published`
    the digest of that one. `longest`: tokens of a window."""

    words: tuple[str, ...]
    merges: tuple[Merge, ...]
    places: tuple[int, ...]
    published: str
    longest: int

    @classmethod
    def of_folder(cls, folder: Path, longest: int) -> BytePairs:
        """The whole tokenizer of a Hugging Face folder. Raises BadFolder for one that is not GPT-2's kind."""
        model, files = _model(folder)
        try:
            words, merges = words_of(model.get("vocab")), _merges(model.get("merges"))
            digest = hashlib.sha256(json.dumps([words, merges]).encode()).hexdigest()[:16]
            return cls(words, merges, tuple(range(len(words))), digest, longest).checked()
        except (ValueError, TypeError) as error:
            raise hub.BadFolder(f"{files} in {folder} cannot be used: {error}") from None

    @classmethod
    def read(cls, document: dict[str, Any]) -> BytePairs:
        """The tokenizer of a `document`. Raises KeyError, TypeError, ValueError."""
        places = tuple(document["places"])
        if len(places) != len(document["words"]) or not all(type(one) is int and one >= 0 for one in places):
            raise ValueError("its words do not have a place each")
        merges = _merges(document["merges"])
        return cls(tuple(document["words"]), merges, places, document["published"], document["longest"]).checked()

    def checked(self) -> BytePairs:
        """Itself. Raises ValueError where its words are not bytes, or its merges not of its words."""
        known = set(self.words)
        if not all(isinstance(word, str) and word for word in self.words) or len(known) != len(self.words):
            raise ValueError("its tokens are not different texts")
        if not all(set(word) <= BYTES.keys() for pair in self.merges for word in pair):
            raise ValueError("its tokens are not written in GPT-2's letters for bytes")
        if not all({one, other, one + other} <= known for one, other in self.merges):
            raise ValueError("its merges are not about its tokens")
        return self

    def kept(self, texts: Sequence[str], rare: int, most: int) -> BytePairs:
        """With the tokens alone that these texts have `rare` times or more, and those that they are merged from: the
        most frequent, `most` in all. Every byte of the texts stays, so what has no token is cut into parts."""
        counts = Counter(self.encoded(texts).flat.tolist())
        parts = {one + other: (one, other) for one, other in reversed(self.merges)}
        chosen = {LETTERS[byte] for byte in {*b" ", *"".join(set().union(*texts)).encode()}}
        if missing := sorted(chosen - set(self.words)):
            raise ValueError(f"it has no token for the byte {BYTES[missing[0]]}")
        for number, count in counts.most_common():
            new = _closure(self.words[number - FIRST], parts) - chosen
            if count >= rare and len(chosen) + len(new) <= most:
                chosen |= new
        rows = [row for row, word in enumerate(self.words) if word in chosen]
        merges = tuple(pair for pair in self.merges if {*pair, "".join(pair)} <= chosen)
        words, places = tuple(self.words[row] for row in rows), tuple(self.places[row] for row in rows)
        return BytePairs(words, merges, places, self.published, self.longest)

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        return FIRST + len(self.words)

    @cached_property
    def unknown(self) -> int:
        """The id of a space, which stands for characters that the tokens do not have."""
        return FIRST + self.words.index(LETTERS[ord(" ")])

    @cached_property
    def characters(self) -> np.ndarray:
        """How many characters begin in each token, from FIRST on, float64 (K,): its bytes that continue none."""
        return np.array([sum(byte & 0xC0 != 0x80 for byte in _bytes(word)) for word in self.words], np.float64)

    @cached_property
    def digest(self) -> str:
        """What distinguishes it from other tokenizers, 8 hex digits."""
        return hashlib.sha256(json.dumps(self.document()).encode()).hexdigest()[:8]

    def document(self) -> dict[str, Any]:
        """What its file holds."""
        return {
            "tokenizer": "byte pairs", "words": list(self.words), "merges": [list(pair) for pair in self.merges],
            "places": list(self.places), "published": self.published, "longest": self.longest,
        }  # fmt: skip

    def encoded(self, texts: Sequence[str]) -> Ragged:
        """Ids int32 of texts, whole ones. Raises MissingExtra."""
        rows = [np.array(one.ids, np.int32) + FIRST for one in self._splitter.encode_batch(list(texts))]
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        return Ragged(np.concatenate(rows) if rows else np.empty(0, np.int32), ends)

    def opening(self, text: str) -> np.ndarray:
        """Ids int32 of a whole text; a character that it does not have becomes a space."""
        known = set(self.words)
        clean = (one if all(LETTERS[byte] in known for byte in one.encode("utf-8", "replace")) else " " for one in text)
        return self.encoded(["".join(clean)]).flat

    def decoded(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of these ids; bytes that are no characters are question marks in a diamond."""
        return b"".join(_bytes(self.words[one - FIRST]) if one >= FIRST else b"?" for one in ids).decode(
            "utf-8", "replace"
        )

    @cached_property
    def _splitter(self) -> Any:
        try:
            tokenizers: Any = importlib.import_module("tokenizers")
            models, pre_tokenizers = (
                importlib.import_module(f"tokenizers.{name}") for name in ("models", "pre_tokenizers")
            )
        except ImportError:
            raise MissingExtra(f"byte-level BPE tokens need the package tokenizers: {hub.INSTALL}") from None
        ids = {word: number for number, word in enumerate(self.words)}
        made = tokenizers.Tokenizer(models.BPE(ids, list(self.merges)))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return made


def _model(folder: Path) -> tuple[dict[str, Any], str]:
    """`vocab` and `merges` of a folder, and the names of the files that hold them. Raises BadFolder."""
    if not (folder / hub.TOKENIZER).is_file() and (folder / hub.VOCABULARY).is_file():
        lines = hub.text(folder, hub.MERGES).splitlines()
        merges = [line for line in lines if line.strip() and not line.startswith("#version")]
        return {"vocab": hub.document(folder, hub.VOCABULARY), "merges": merges}, f"{hub.VOCABULARY} and {hub.MERGES}"
    found = hub.document(folder, hub.TOKENIZER)
    model, splitter = found.get("model"), found.get("pre_tokenizer")
    wanted = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    split = isinstance(splitter, dict) and all(splitter.get(name, value) == value for name, value in wanted.items())
    if not isinstance(model, dict) or model.get("type") != "BPE" or found.get("normalizer") or not split:
        raise hub.BadFolder(f"{hub.TOKENIZER} in {folder} is not the byte-level BPE tokenizer of a GPT-2")
    return model, hub.TOKENIZER


def _merges(given: Any) -> tuple[Merge, ...]:
    """Pairs, given as such or as "one other". Raises ValueError."""
    if not isinstance(given, list):
        raise ValueError("it has no merges")
    pairs = [tuple(one.split(" ") if isinstance(one, str) else one) for one in given]
    if not all(len(pair) == 2 and all(isinstance(one, str) and one for one in pair) for pair in pairs):
        raise ValueError("its merges are not pairs of tokens")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _closure(word: str, parts: dict[str, Merge]) -> set[str]:
    """A word and all that it is merged from."""
    found, left = set(), [word]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += parts.get(one, ())
    return found


def _bytes(word: Iterable[str]) -> bytes:
    return bytes(BYTES[letter] for letter in word if letter in BYTES)
