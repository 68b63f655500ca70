"""WordPiece tokens of a published model: as its own tokenizer splits them, and saved with the data set."""

from __future__ import annotations

import sys

import pytest

from kdcore.inputs.text import KIND
from kdcore.inputs.tokens import Texts
from kdcore.inputs.wordpiece import MissingExtra, WordPieces
from tests import folders


def pieces(tmp_path, longest=8):
    return WordPieces.of_folder(folders.folder(tmp_path), longest)


def test_texts_are_split_and_cut(tmp_path):
    pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")
    made = Texts.of(["The  film is GOODLY", "", "the " * 50, "zzz"], pieces(tmp_path))
    words = [[folders.WORDS[token] for token in made.ids.row(row)] for row in range(4)]
    assert words[0] == ["[CLS]", "the", "film", "is", "good", "##ly", "[SEP]"]
    assert words[1] == ["[CLS]", "[SEP]"]
    assert words[2] == ["[CLS]", *["the"] * 6, "[SEP]"]
    assert words[3] == ["[CLS]", "[UNK]", "[SEP]"]
    assert made.text(0) == "The film is GOODLY"
    assert KIND.unknown(made) == folders.WORDS.index("[UNK]")


def test_what_is_saved_is_loaded(tmp_path):
    pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")
    made = Texts.of(["the film is bad", "good"], pieces(tmp_path / "model"))
    KIND.save(made, tmp_path, "test_images")
    loaded = KIND.load(tmp_path, "test_images")
    assert loaded.tokenizer == made.tokenizer
    assert KIND.shape(loaded) == KIND.shape(made)
    assert KIND.fits(tmp_path, "test_images", list(KIND.shape(made)), 2)
    typed = KIND.corrupted(loaded, "replaced", 5)
    assert typed.text(0) != made.text(0)


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kdcore\[text\]'"):
        Texts.of(["good"], pieces(tmp_path))


@pytest.mark.parametrize(
    "change", [{"words": ["a", "b"]}, {"words": ["[PAD]", "[PAD]"]}, {"words": [1, 2]}, {"lowercase": "no"}]
)
def test_a_damaged_document_is_refused(tmp_path, change):
    with pytest.raises(ValueError, match="its "):
        WordPieces.read(pieces(tmp_path).document() | change)
