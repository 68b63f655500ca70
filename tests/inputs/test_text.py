"""Texts as inputs: tokens and back, padding, batches of like length, and typos."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore import inputs
from kdcore.inputs import order, typos
from kdcore.inputs.ids import PADDING, UNKNOWN
from kdcore.inputs.text import KIND, HeldTexts
from kdcore.inputs.tokens import Characters, Texts, normalised
from kdcore.recipe import Augmentation

words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=20)
NAMES = ["García", "Smith", "O'Brien", "Nguyễn", "Li", "Μπάρκας", "van der Berg"]


def texts(names=NAMES, longest=12):
    return Texts.of(names, Characters.of(map(normalised, names), longest))


@given(words)
@settings(max_examples=60, deadline=None)
def test_every_row_has_its_own_tokens_and_the_text_stays_readable(names):
    alphabet = "".join(sorted({letter for name in names for letter in normalised(name)}))
    made = Texts.of(names, Characters(alphabet or "a", 8))
    padded = KIND.feed(made)
    assert padded.shape == (len(names), max(made.ids.lengths))
    for row, name in enumerate(names):
        kept = padded[row][padded[row] != PADDING]
        clean = normalised(name)
        assert made.text(row) == clean
        assert [alphabet[token - 2] for token in kept if token != UNKNOWN] == list(clean[:8])
        assert (made[[row]].ids.flat == made.ids.row(row)).all()


def test_what_the_training_texts_do_not_have_is_unknown():
    made = Texts.of(["aXb", ""], Characters("ab", 4))
    assert KIND.feed(made).tolist() == [[2, UNKNOWN, 3], [UNKNOWN, PADDING, PADDING]]


def test_what_is_saved_is_loaded_and_has_the_same_fingerprint(tmp_path):
    made = texts()
    KIND.save(made, tmp_path, "test_images")
    names = KIND.files("test_images")
    loaded = KIND.load(tmp_path, "test_images")
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert list(loaded) == list(made) == NAMES
    assert b"".join(map(bytes, loaded.chunks())) == b"".join(map(bytes, made.chunks()))
    assert loaded.tokenizer == made.tokenizer
    assert KIND.fits(tmp_path, "test_images", list(KIND.shape(made)), len(NAMES))
    assert not KIND.fits(tmp_path, "test_images", list(KIND.shape(made)), 3)
    np.save(tmp_path / "test_images.ids.npy", made.ids.flat + 99)
    assert not KIND.fits(tmp_path, "test_images", list(KIND.shape(made)), len(NAMES))
    other = Texts.of(NAMES, Characters.of(NAMES, 11))
    assert b"".join(map(bytes, other.chunks())) != b"".join(map(bytes, made.chunks()))


def test_the_shape_names_its_kind_and_survives_json():
    shape = list(KIND.shape(texts()))
    assert inputs.of(shape) is KIND
    assert inputs.sound(shape) == shape
    assert inputs.of([1, 8, 8]).name == "pictures"
    for wrong in ([], ["sound", 1], ["text", 1], ["text", 0, 1, 2, "x"], [1, 8], [1, 8, "8"], [0, 8, 8]):
        with pytest.raises(ValueError, match="shape"):
            inputs.sound(wrong)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=300),
    size=st.integers(2, 33),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_bucketed_batches_are_whole_passes_in_an_order_of_their_own(lengths, size, seed):
    sizes = np.array(lengths)
    stream = np.concatenate(
        [
            order.batch(seed, step, len(sizes), size, lambda *at: order.bucketed(*at[:2], sizes, at[2]))
            for step in range(9)
        ]
    )
    for start in range(0, len(stream) - len(sizes) + 1, len(sizes)):
        assert sorted(stream[start : start + len(sizes)]) == list(range(len(sizes)))


def test_a_batch_is_hardly_longer_than_its_texts():
    lengths = np.random.default_rng(0).geometric(0.05, 5000).clip(1, 60)
    made = Texts.of(["x" * length for length in lengths], Characters("x", 60))
    held = HeldTexts(made, np.arange(5000), torch.device("cpu"))
    padding = [(held.batch(held.indices(0, step, 32)) == PADDING).float().mean().item() for step in range(300)]
    assert np.mean(padding) < 0.1
    random = np.mean([(lengths[part].max() - lengths[part].mean()) / lengths[part].max()
                      for part in np.random.default_rng(1).permutation(5000)[:4992].reshape(-1, 32)])  # fmt: skip
    assert random > 0.3
    assert (held.indices(0, 7, 32) == held.indices(0, 7, 32)).all()
    assert (held.indices(0, 7, 32) != held.indices(1, 7, 32)).any()


@given(text=st.text(min_size=1, max_size=20), name=st.sampled_from(sorted(typos.TITLES)), seed=st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_typos_are_the_same_each_time_and_leave_something(text, name, seed):
    once, again = (typos.corrupted(text, name, 0.5, "abcABC", seed) for _ in range(2))
    assert once == again
    assert once
    assert typos.corrupted(text, name, 0.0, "abcABC", seed) == text


def test_a_stronger_corruption_changes_more_texts():
    made = texts([f"Papadopoulos{chr(97 + number % 26)}" for number in range(200)], 30)
    for name in KIND.corruptions:
        changed = [
            sum(a != b for a, b in zip(made, KIND.corrupted(made, name, severity), strict=True)) for severity in (1, 5)
        ]
        assert 0 < changed[0] < changed[1]


def test_wrong_letters_are_of_the_same_script_and_case():
    alphabet = "".join(sorted(set("".join(NAMES))))
    made = typos.corrupted("Μπάρκας", "replaced", 1.0, alphabet)
    assert made != "Μπάρκας"
    assert all("GREEK" in unicodedata.name(letter) for letter in made)
    assert made[0].isupper() or made[0] == "Μ"  # there may be no other capital
    assert not any(letter.isupper() for letter in made[1:])


def test_views_of_pictures_are_refused_one_by_one():
    assert KIND.impossible(Augmentation()) == {}
    assert set(KIND.impossible(Augmentation(shift=1, mixup=1.0))) == {"shift", "mixup"}
