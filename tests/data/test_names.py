"""What the names of a person's files mean."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.data.pictures.layout import layout, lost
from kdcore.data.pictures.names import Refused, is_junk, is_picture, parts


def laid_out(*names: str, share: float = 0.2, **options: object) -> dict[str, list[tuple[str, str]]]:
    """Split -> (name, class) in the order of the arrays."""
    found = layout([parts(name) for name in names], share, **options)
    return {
        split: [(names[index], found.classes[label]) for index, label in getattr(found, split)]
        for split in ("train", "test")
    }


def many(folder: str, count: int, first: int = 0) -> list[str]:
    return [f"{folder}/{n:02d}.png" for n in range(first, first + count)]


@given(st.text())
def test_every_name_is_refused_or_stays_inside(name):
    try:
        pieces = parts(name)
    except Refused:
        return
    assert not {"", ".", ".."} & set(pieces)
    assert not any(letter in piece for piece in pieces for letter in "/\\\0\n")
    assert parts("/".join(pieces) if pieces else ".") == pieces


UP = st.sampled_from(["..", "../..", "..\\", "a/../..", "/etc", "\\\\server\\share", "C:\\Windows", "c:/x"])


@given(UP, st.text("abé/\\ ._-", max_size=12))
def test_names_that_lead_out_are_refused(up, rest):
    with pytest.raises(Refused, match=r"leads out|absolute"):
        parts(f"{up}/{rest}")


@pytest.mark.parametrize("name", ["cat/a\nb.png", "cat/a\0.png", "cat/\x7f.png", "cat/\ud800.png"])
def test_names_that_no_file_should_have_are_refused(name):
    with pytest.raises(Refused, match="rename"):
        parts(name)


def test_both_spellings_of_an_accent_are_one_name():
    assert parts("caf\u00e9/1.png") == parts("cafe\u0301/1.png")


@pytest.mark.parametrize(
    "name", ["__MACOSX/cat/._1.png", ".git/x.png", "cat/.DS_Store", "cat/Thumbs.db", "desktop.ini", "cat/._1.jpg", "./"]
)
def test_junk_is_seen(name):
    assert is_junk(parts(name))


def test_pictures_go_by_their_ending():
    assert all(is_picture(parts(f"cat/1{ending}")) for ending in (".jpg", ".JPEG", ".png", ".tif", ".webp"))
    assert not any(is_picture(parts(f"cat/1{ending}")) for ending in (".zip", ".tar.gz", ".txt", ".svg", ""))


def test_class_folders_alone_give_a_fifth_of_each_class_for_testing():
    found = laid_out(*many("dog", 10), *many("cat", 5))
    assert Counter(kind for _, kind in found["test"]) == {"dog": 2, "cat": 1}
    assert Counter(kind for _, kind in found["train"]) == {"dog": 8, "cat": 4}
    assert found["train"] == sorted(found["train"])  # by class, then by name
    assert found == laid_out(*many("dog", 10), *many("cat", 5))


def test_the_split_does_not_depend_on_the_order_of_the_names_or_a_folder_around_them():
    names = [*many("dog", 10), *many("cat", 6)]
    inside = {split: [(f"top/in/{name}", kind) for name, kind in rows] for split, rows in laid_out(*names).items()}
    assert laid_out(*[f"top/in/{name}" for name in reversed(names)]) == inside


@pytest.mark.parametrize(
    ("train", "test"),
    [("train", "test"), ("Training", "TESTING"), ("train", "val"), ("train", "valid"), ("training", "validation")],
)
def test_split_folders_are_seen(train, test):
    names = [*many(f"{train}/cat", 2), *many(f"{train}/dog", 2), *many(f"{test}/cat", 1), *many(f"{test}/dog/small", 1)]
    for around in ("", "pets/"):
        found = laid_out(*[around + name for name in names])
        assert found["train"] == [(f"{around}{train}/{kind}/0{n}.png", kind) for kind in ("cat", "dog") for n in (0, 1)]
        assert [kind for _, kind in found["test"]] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train", "eval"),
        ("Train Images", "Holdout"),
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/images", "test/images"),
        ("train/train", "val/val"),
    ],
)
def test_split_folders_are_recognised_by_what_they_hold(train, test):
    names = [name for kind in ("cat", "dog") for name in (*many(f"{train}/{kind}", 4), *many(f"{test}/{kind}", 2))]
    for around in ("", "archive/pets/"):
        found = laid_out(*[around + name for name in names])
        assert {kind for _, kind in found["train"] + found["test"]} == {"cat", "dog"}
        assert {name.split("/")[around.count("/")] for name, _ in found["test"]} == {test.split("/")[0]}
        assert (len(found["train"]), len(found["test"])) == (8, 4)


UNCLEAR = [
    ("val", "test"),  # which is for training?
    ("one", "two"),
    ("left_eye", "right_eye"),
    ("day1/day1", "day2/day2"),
]


@pytest.mark.parametrize(("first", "second"), UNCLEAR)
def test_it_is_asked_whether_folders_that_hold_the_same_are_splits(first, second):
    names = [name for kind in ("cat", "dog") for name in (*many(f"{first}/{kind}", 4), *many(f"{second}/{kind}", 4))]
    with pytest.raises(Refused) as caught:
        laid_out(*names)
    outer = [first.split("/")[0], second.split("/")[0]]
    assert all(f"{folder}/" in str(caught.value) for folder in (*outer, "cat", "dog"))
    assert "are they splits or classes?" in str(caught.value)
    found = laid_out(*names, test_folder=outer[1].upper())
    assert {name.split("/")[0] for name, _ in found["test"]} == {outer[1]}
    assert {kind for _, kind in found["test"]} == {"cat", "dog"}
    classes = laid_out(*names, splits=False)
    assert {kind for _, kind in classes["train"]} == set(outer)


@pytest.mark.parametrize(
    "names",
    [
        [*many("training_shoes", 5), *many("test_tubes", 5)],
        [*many("cat/indoor", 3), *many("cat/outdoor", 3), *many("dog/indoor", 3), *many("dog/park", 3)],
        [*many("cat/phone", 5), *many("dog/phone", 5)],
    ],
)
def test_class_folders_that_only_look_a_little_like_splits_are_classes(names):
    assert {kind for _, kind in laid_out(*names)["train"]} == {name.split("/")[0] for name in names}


def test_a_test_folder_that_is_not_there_is_told():
    with pytest.raises(Refused, match=r"there is no test folder 'held'; folders: cat/, dog/"):
        laid_out(*many("cat", 5), *many("dog", 5), test_folder="held")


def test_a_class_of_which_nothing_can_be_read_is_lost():
    read = [parts(name) for name in (*many("pets/cat", 5), *many("pets/dog", 5))]
    others = [parts(name) for name in ("pets/cow/1.heic", "pets/cow/2.heic", "pets/cat/3.heic", "cover.psd")]
    assert lost(read, others) == {"cow": others[:2]}
    halves = [parts(f"{split}/{kind}/{n}.png") for split in ("train", "test") for kind in "ab" for n in range(3)]
    assert lost(halves, [parts("train/c/1.heic"), parts("train/a/1.heic")]) == {"c": [parts("train/c/1.heic")]}


def test_validation_joins_training_where_there_is_a_test_folder():
    found = laid_out(
        *(name for split in ("train", "val", "test") for kind in "ab" for name in many(f"{split}/{kind}", 2))
    )
    assert Counter(name.split("/")[0] for name, _ in found["train"]) == {"train": 4, "val": 4}
    assert Counter(name.split("/")[0] for name, _ in found["test"]) == {"test": 4}


def test_a_training_folder_alone_is_split_as_class_folders_are():
    names = [*many("train/cat", 5), *many("train/dog", 5)]
    assert [len(rows) for rows in laid_out(*names).values()] == [8, 2]


def test_a_class_that_is_called_train_is_a_class():
    assert {kind for _, kind in laid_out(*many("train", 5), *many("car", 5))["train"]} == {"train", "car"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "there are no pictures"),
        (many("cat", 5), "there is only one class, 'cat'"),
        (["1.png", *many("cat", 5), *many("dog", 5)], "1.png is not in a class folder"),
        ([*many("train", 5), *many("test", 5)], "train/00.png is not in a class folder"),
        ([*many("Cat", 5), *many("cat", 5)], "'Cat' and 'cat' differ only in upper and lower case"),
        ([*many("cat", 5), *many("dog", 2)], "class 'dog' has too few pictures (2): it needs at least 4"),
        (
            [*many("train/cat", 5), *many("train/dog", 1), *many("test/cat", 1), *many("test/dog", 1)],
            "'dog' has too few training pictures (1)",
        ),
        ([*many("train/cat", 5), *many("train/dog", 5), *many("test/cat", 1)], "'dog' has no test picture"),
        (
            [
                *many("train/cat", 5),
                *many("train/dog", 5),
                *many("test/cat", 1),
                *many("test/dog", 1),
                *many("test/cow", 1),
            ],
            "'cow' has too few",
        ),
        ([*many("train/cat", 5), *many("test/cat", 5), *many("extra/cat", 5)], "extra/ is next to the training"),
        (
            [*many("seg_train/cat", 5), *many("seg_train/dog", 5), *many("seg_test/cat", 5), *many("seg_pred", 5)],
            "seg_pred/ is next to the training",
        ),
        (
            [*many("training_set/cat", 5), *many("training_set/dog", 5), *many("test_set", 5)],
            "test_set/00.png is not in a class folder",
        ),
    ],
)
def test_what_cannot_be_a_data_set_is_told(names, words):
    with pytest.raises(Refused) as caught:
        laid_out(*names)
    assert words in str(caught.value)


PIECE = st.text("abcD.é_ -", min_size=1, max_size=5)


@given(st.lists(st.lists(PIECE, min_size=1, max_size=4), max_size=30), st.floats(0.05, 0.5))
def test_every_picture_is_in_one_split_or_the_whole_is_refused(names, share):
    try:
        given_names = sorted({parts("/".join(pieces) + ".png") for pieces in names})
        found = layout(given_names, share)
    except Refused:
        return
    assert sorted(index for index, _ in found.train + found.test) == list(range(len(given_names)))
    assert len({name.casefold() for name in found.classes}) == len(found.classes) >= 2
    trained = Counter(label for _, label in found.train)
    assert all(trained[label] >= 2 for label in range(len(found.classes)))


@given(st.integers(2, 6), st.integers(4, 40), st.floats(0.05, 0.5))
def test_four_pictures_of_a_class_are_enough_for_every_share(classes, each, share):
    found = layout([parts(name) for kind in range(classes) for name in many(f"c{kind}", each)], share)
    assert len(found.test) == max(round(share * classes * each), classes)
