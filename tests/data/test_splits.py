from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore.data.ordering import label_set_order
from kdcore.data.splits import split
from kdcore.data.types import Dataset
from kdcore.recipe import Data, RecipeError

NAMES = tuple("abcdefghij")


def labelled_by(labels: list[int] | np.ndarray) -> Dataset:
    """A data set of which only the labels and the names of the classes matter."""
    labels = np.asarray(labels)
    blank = np.zeros((len(labels), 1, 1, 1), np.uint8)
    classes = NAMES[: labels.max() + 1]
    return Dataset("made", blank, blank, labels, labels, classes, "", (0.0,), (1.0,))


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    sizes = draw(st.lists(st.integers(2, 40), min_size=2, max_size=10))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labelled_by(draw(st.randoms(use_true_random=False)).sample(labels.tolist(), len(labels)))


@settings(deadline=None)
@given(datasets(), st.data())
def test_who_sees_what(dataset, drawn):
    labels, kinds = dataset.train_labels, len(dataset.classes)
    hidden = drawn.draw(st.lists(st.sampled_from(dataset.classes), max_size=kinds - 2, unique=True))
    share = drawn.draw(st.floats(0.02, 0.5))
    base = {"hide_classes": hidden, "validation": share, "seed": drawn.draw(st.integers(0, 2**31 - 1))}
    everything = split(dataset, Data(**base))
    count = drawn.draw(st.integers(kinds - len(hidden), len(everything.labelled)))
    some = split(dataset, Data(**base, labels=count, transfer=drawn.draw(st.booleans())))

    assert sorted([*some.teacher, *some.validation]) == list(range(len(labels)))
    assert set(labels[some.validation]) == set(labels[some.teacher]) == set(range(kinds))
    assert len(some.validation) == max(round(share * len(labels)), kinds)
    assert set(some.labelled) <= set(some.seen) <= set(some.teacher)
    assert some.seen[: len(some.labelled)].tolist() == some.labelled.tolist()
    assert len(some.labelled) == len(set(some.labelled)) == count
    assert len(some.seen) == len(set(some.seen))
    shown = set(range(kinds)) - {dataset.classes.index(name) for name in hidden}
    assert set(labels[some.labelled]) == set(labels[some.seen]) == shown
    assert all(part.dtype == np.int64 for part in (some.teacher, some.labelled, some.seen, some.validation))


@settings(deadline=None)
@given(datasets(), st.data())
def test_a_smaller_labelled_subset_lies_within_a_larger_one(dataset, drawn):
    seed, kinds = drawn.draw(st.integers(0, 2**31 - 1)), len(dataset.classes)
    whole = len(split(dataset, Data()).labelled)
    few, many = sorted(drawn.draw(st.lists(st.integers(kinds, whole), min_size=2, max_size=2)))
    smaller, larger = (split(dataset, Data(labels=count, seed=seed)).labelled for count in (few, many))
    assert set(smaller) <= set(larger)


def test_fifty_labels_of_digits_are_five_of_each(digits):
    chosen = split(digits, Data(labels=50))
    assert np.bincount(digits.train_labels[chosen.labelled]).tolist() == [5] * 10
    assert np.bincount(digits.train_labels[chosen.validation]).tolist() == [12] * 10
    assert [len(part) for part in (chosen.teacher, chosen.seen, chosen.validation)] == [1077, 50, 120]


def test_the_split_of_digits_never_moves(digits):
    chosen = split(digits, Data(labels=50))
    digest = hashlib.sha256(chosen.labelled.tobytes() + chosen.validation.tobytes()).hexdigest()
    assert digest == "4095cad21e19d1c1a15fc987276f7f24d365cf4c1516aba169625ce1b04029fe"


def test_the_seed_picks_the_labelled_subset_alone(digits):
    first, same, other = (split(digits, Data(labels=50, seed=seed)) for seed in (1, 1, 2))
    assert first.labelled.tolist() == same.labelled.tolist()
    assert len(set(first.labelled) & set(other.labelled)) < 25
    assert first.validation.tolist() == other.validation.tolist()
    assert first.teacher.tolist() == other.teacher.tolist()


def test_a_transfer_set_adds_the_unlabelled_rest(digits):
    chosen = split(digits, Data(labels=50, transfer=True))
    assert sorted(chosen.seen) == chosen.teacher.tolist()
    assert chosen.labelled.tolist() == split(digits, Data(labels=50)).labelled.tolist()


def test_hiding_a_class_keeps_the_other_classes_images_and_the_number_of_labels(digits):
    without = split(digits, Data(labels=50, hide_classes=("3",)))
    usual = split(digits, Data(labels=50)).labelled
    assert len(without.labelled) == 50
    assert 3 not in digits.train_labels[without.labelled]
    assert set(usual[digits.train_labels[usual] != 3]) <= set(without.labelled)
    assert 3 in digits.train_labels[without.teacher]
    assert 3 in digits.train_labels[without.validation]


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"labels": 1078}, "data.labels", "1078 is not possible: 10 (one of each class) to 1077 (all)"),
        ({"labels": 9}, "data.labels", "9 is not possible"),
        ({"labels": 8, "hide_classes": ["3"]}, "data.labels", "9 (one of each class)"),
        ({"labels": 1077, "hide_classes": ["3"]}, "data.labels", "(all) are accepted"),
        ({"hide_classes": ["3", "eleven"]}, "data.hide_classes", "no class 'eleven'; there are: 0, 1, 2"),
        ({"hide_classes": list("012345678")}, "data.hide_classes", "hides 9 of 10 classes"),
    ],
)
def test_what_cannot_be_is_told_at_its_field(digits, data, field, words):
    with pytest.raises(RecipeError) as caught:
        split(digits, Data(**data))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message
    assert problem.severity == "error"


def test_one_of_each_class_and_all_are_accepted(digits):
    assert len(split(digits, Data(labels=10)).labelled) == 10
    assert len(split(digits, Data(labels=1077)).labelled) == 1077


@st.composite
def sets_of_labels(draw: st.DrawFn) -> np.ndarray:
    """Labels 0 and 1 (N, K), each class in two images at least, some images without any."""
    classes, images = draw(st.integers(2, 6)), draw(st.integers(12, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = (random.random((images, classes)) < random.uniform(0.02, 0.9, classes)).astype(np.uint8)
    labels[:2] = 1
    return labels


def with_label_sets(labels: np.ndarray) -> Dataset:
    blank = np.zeros((len(labels), 1, 1, 1), np.uint8)
    return Dataset("made", blank, blank, labels, labels, NAMES[: labels.shape[1]], "", (0.0,), (1.0,))


@settings(deadline=None, max_examples=50)
@given(sets_of_labels(), st.integers(0, 99))
def test_images_with_several_labels_are_shared_out_exactly_and_every_class_comes_first(labels, seed):
    classes = labels.shape[1]
    order = label_set_order(labels, (seed, 2))
    assert sorted(order) == list(range(len(labels)))
    assert labels[order[:classes]].any(axis=0).all()
    found = split(with_label_sets(labels), Data(validation=0.2, labels=classes, transfer=True, seed=seed))
    assert len(found.validation) == max(round(0.2 * len(labels)), classes)
    assert labels[found.validation].any(axis=0).all()
    assert len(found.labelled) == classes
    everything = np.concatenate([found.seen, found.validation])
    assert sorted(everything) == list(range(len(labels)))


def test_no_class_can_be_hidden_where_images_have_several():
    labels = np.ones((20, 3), np.uint8)
    with pytest.raises(RecipeError, match=r"data\.hide_classes.*several labels"):
        split(with_label_sets(labels), Data(hide_classes=("a",)))
