"""Byte pairs: the published cut, the tokens that a text keeps, their characters, and damage."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from kdcore import hub
from kdcore.inputs import bytepairs
from kdcore.inputs.bytepairs import BytePairs
from kdcore.inputs.ids import FIRST
from kdcore.inputs.tokens import read
from kdcore.inputs.wordpiece import MissingExtra
from tests import gpt2

OTHER = "import os\nßß — “quoted” naïve 東京 self.read(sum)\t\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return gpt2.folder(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def published(folder):
    return BytePairs.of_folder(folder, 16)


def test_it_cuts_as_the_folders_tokenizer_does(folder, published):
    theirs = pytest.importorskip("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in (gpt2.TEXT, OTHER):
        ids = published.encoded([text]).flat
        assert (ids - FIRST).tolist() == theirs.encode(text).ids
        assert published.decoded(ids) == text
    assert published.vocabulary == FIRST + theirs.get_vocab_size()


def test_characters_of_tokens_sum_up_to_those_of_the_text(published):
    ids = published.encoded([OTHER]).flat
    assert published.characters[ids - FIRST].sum() == len(OTHER)
    assert len(ids) > len(OTHER)  # a character can be several tokens, too


def test_kept_tokens_cut_as_before_where_none_is_rare_and_into_parts_elsewhere(published):
    texts = [gpt2.TEXT] * 3 + ["zzz read"]
    kept = published.kept(texts, 3, 1000)
    assert kept.vocabulary < published.vocabulary
    assert (kept.words, kept.places) == (
        tuple(published.words[place] for place in kept.places), tuple(sorted(kept.places))
    )  # fmt: skip
    whole = published.encoded([gpt2.TEXT]).flat - FIRST
    assert [kept.places[one - FIRST] for one in kept.encoded([gpt2.TEXT]).flat] == whole.tolist()
    assert kept.decoded(kept.encoded(["zzz read"]).flat) == "zzz read"
    fewest = published.kept(texts, 3, 1)
    assert set(map(len, fewest.words)) == {1}  # bytes alone
    assert fewest.decoded(fewest.encoded([gpt2.TEXT]).flat) == gpt2.TEXT


def test_a_character_that_no_token_has_becomes_a_space(published):
    kept = published.kept([gpt2.TEXT], 3, 1000)
    assert kept.decoded(kept.opening("read§東")) == "read  "
    assert kept.opening("§")[0] == kept.unknown


def test_its_document_brings_it_back(published):
    kept = published.kept([gpt2.TEXT], 2, 1000)
    back = read(json.loads(json.dumps(kept.document())))
    assert back == kept
    assert back.digest == kept.digest != published.digest
    with pytest.raises(ValueError, match="a place each"):
        read(kept.document() | {"places": [1]})


def test_the_older_two_files_say_the_same(published, tmp_path):
    model = gpt2.tokenizer()["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(one) if isinstance(one, list) else one for one in model["merges"]]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    assert BytePairs.of_folder(tmp_path, 16) == published
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(hub.BadFolder, match=r"no merges\.txt"):
        BytePairs.of_folder(tmp_path, 16)


WRONG = {
    "another kind": {"model": {"type": "WordPiece", "vocab": {}}},
    "another cut before": {"pre_tokenizer": {"type": "Whitespace"}},
    "no cut before": {"pre_tokenizer": None},
    "a space in front": {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}},
    "other letters": {"normalizer": {"type": "Lowercase"}},
}
DAMAGED = {
    "no words": {"vocab": {}},
    "a gap": {"vocab": {"a": 0, "b": 2}},
    "no merges": {"merges": "a b"},
    "merges of three": {"merges": ["a b c"]},
    "unknown words": {"merges": ["Q9 z"]},
    "no bytes": {"vocab": {"東": 0, "京": 1, "東京": 2}, "merges": ["東 京"]},
}


@pytest.mark.parametrize("name", [*WRONG, *DAMAGED])
def test_another_tokenizer_is_refused_in_one_sentence(tmp_path, name):
    words = gpt2.tokenizer()
    words = words | WRONG[name] if name in WRONG else words | {"model": words["model"] | DAMAGED[name]}
    expected = "not the byte-level BPE tokenizer of a GPT-2" if name in WRONG else "cannot be used: "
    with pytest.raises(hub.BadFolder, match=expected) as refused:
        BytePairs.of_folder(gpt2.folder(tmp_path, words=words), 16)
    assert len(str(refused.value)) < 250 + len(str(tmp_path))


def test_without_the_package_it_says_what_to_install(published, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kdcore\[text\]'"):
        BytePairs(published.words, published.merges, published.places, "", 16).encoded(["a"])


def test_every_byte_has_a_letter_of_its_own():
    assert len(bytepairs.BYTES) == 256
    assert bytepairs.LETTERS[ord(" ")] == "Ġ"
    np.testing.assert_array_equal(sorted(bytepairs.LETTERS), range(256))
