"""Texts as the WordPiece tokens of a published BERT (Wu et al. 2016, arXiv:1609.08144), split by `tokenizers`."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kdcore import hub
from kdcore.inputs.ragged import Ragged

PADDING, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
MOST_WORDS = 1_000_000
PORTION = 10_000  # texts that are split at a time


class MissingExtra(ValueError):
    """The package that splits texts is not installed; the message says how to get it."""


@dataclass(frozen=True)
class WordPieces:
    """The words and parts of words in the order of their ids; a text is [CLS], its tokens, [SEP], at most `longest`.

    `lowercase`, `accents` (whether they are removed; None: with lower case), `chinese` (a token each), `clean`: how
    BERT's own normaliser prepares the text.
    """

    words: tuple[str, ...]
    longest: int
    lowercase: bool = True
    accents: bool | None = None
    chinese: bool = True
    clean: bool = True

    @classmethod
    def of_folder(cls, folder: Path, longest: int) -> WordPieces:
        """The tokenizer of a Hugging Face folder. Raises BadFolder for one that is not BERT's."""
        found = hub.document(folder, hub.TOKENIZER)
        model, normaliser, splitter = (found.get(part) or {} for part in ("model", "normalizer", "pre_tokenizer"))
        kinds = [part.get("type") if isinstance(part, dict) else None for part in (model, normaliser, splitter)]
        if kinds != ["WordPiece", "BertNormalizer", "BertPreTokenizer"]:
            raise hub.BadFolder(f"{hub.TOKENIZER} in {folder} is not the WordPiece tokenizer of a BERT")
        fields = {"lowercase": "lowercase", "accents": "strip_accents", "chinese": "handle_chinese_chars",
                  "clean": "clean_text"}  # fmt: skip
        settings = {ours: normaliser[theirs] for ours, theirs in fields.items() if theirs in normaliser}
        try:
            return cls(words_of(model.get("vocab")), longest, **settings).checked()
        except (ValueError, TypeError) as error:
            raise hub.BadFolder(f"{hub.TOKENIZER} in {folder} cannot be used: {error}") from None

    @classmethod
    def read(cls, document: dict[str, Any]) -> WordPieces:
        """The tokenizer of a `document`. Raises KeyError, TypeError, ValueError."""
        settings = {name: document[name] for name in ("lowercase", "accents", "chinese", "clean")}
        return cls(tuple(document["words"]), document["longest"], **settings).checked()

    def checked(self) -> WordPieces:
        """Itself. Raises ValueError where it is not such as networks here take."""
        if not all(isinstance(word, str) and word for word in self.words) or len(set(self.words)) != len(self.words):
            raise ValueError("its words are not different texts")
        if self.words[:1] != (PADDING,) or not {UNKNOWN, BEGIN, END} <= set(self.words):
            raise ValueError(f"its first word must be {PADDING}, and {UNKNOWN}, {BEGIN} and {END} must be among them")
        if not all(flag in (True, False, None) for flag in (self.lowercase, self.accents, self.chinese, self.clean)):
            raise ValueError("its normaliser has settings that are no truth values")
        return self

    @property
    def vocabulary(self) -> int:
        """Number of ids."""
        return len(self.words)

    @cached_property
    def unknown(self) -> int:
        """The id of what is none of its words."""
        return self.words.index(UNKNOWN)

    @cached_property
    def alphabet(self) -> str:
        """Its words of one letter."""
        return "".join(sorted(word for word in self.words if len(word) == 1))

    @cached_property
    def digest(self) -> str:
        """What distinguishes it from other tokenizers, 8 hex digits."""
        return hashlib.sha256(json.dumps(self.document()).encode()).hexdigest()[:8]

    def document(self) -> dict[str, Any]:
        """What its file holds."""
        return {
            "tokenizer": "wordpiece", "words": list(self.words), "longest": self.longest, "lowercase": self.lowercase,
            "accents": self.accents, "chinese": self.chinese, "clean": self.clean,
        }  # fmt: skip

    def encoded(self, texts: Sequence[str]) -> Ragged:
        """Ids int32 of texts that are normalised. Raises MissingExtra."""
        rows: list[np.ndarray] = []
        for at in range(0, len(texts), PORTION):
            found = self._splitter.encode_batch(list(texts[at : at + PORTION]))
            rows += [np.array(one.ids, np.int32) for one in found]
        ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
        return Ragged(np.concatenate(rows) if rows else np.empty(0, np.int32), ends)

    @cached_property
    def _splitter(self) -> Any:
        try:
            tokenizers: Any = importlib.import_module("tokenizers")
            parts = [
                importlib.import_module(f"tokenizers.{name}")
                for name in ("models", "normalizers", "pre_tokenizers", "processors")
            ]
        except ImportError:
            raise MissingExtra(f"WordPiece tokens need the package tokenizers: {hub.INSTALL}") from None
        models, normalizers, pre_tokenizers, processors = parts
        ids = {word: number for number, word in enumerate(self.words)}
        made = tokenizers.Tokenizer(models.WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=100))
        made.normalizer = normalizers.BertNormalizer(self.clean, self.chinese, self.accents, self.lowercase)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.post_processor = processors.BertProcessing((END, ids[END]), (BEGIN, ids[BEGIN]))
        made.enable_truncation(self.longest)
        return made


def words_of(vocabulary: Any) -> tuple[str, ...]:
    """The words in the order of their ids, which count from 0 without a gap. Raises ValueError."""
    if not isinstance(vocabulary, dict) or not 0 < len(vocabulary) <= MOST_WORDS:
        raise ValueError(f"it has no vocabulary of up to {MOST_WORDS:,} words")
    by_id = {number: word for word, number in vocabulary.items() if type(number) is int}
    if sorted(by_id) != list(range(len(vocabulary))):
        raise ValueError("the ids of its words do not count from 0 without a gap")
    return tuple(by_id[number] for number in range(len(by_id)))
