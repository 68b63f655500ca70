"""What the names of a person's files mean."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.data.pictures.names import Refused, is_junk, is_picture, layout, parts


def laid_out(*names: str, share: float = 0.2) -> dict[str, list[tuple[str, str]]]:
    """Split -> (name, class) in the order of the arrays."""
    found = layout([parts(name) for name in names], share)
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
        (many("cat", 5), "there is one class alone, 'cat'"),
        (["1.png", *many("cat", 5), *many("dog", 5)], "1.png lies in no class folder"),
        ([*many("train", 5), *many("test", 5)], "train/00.png lies in no class folder"),
        ([*many("Cat", 5), *many("cat", 5)], "'Cat' and 'cat' differ by upper and lower case"),
        ([*many("cat", 5), *many("dog", 2)], "class 'dog' has too few pictures (2): it needs 4"),
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
        ([*many("train/cat", 5), *many("test/cat", 5), *many("extra/cat", 5)], "extra/ lies beside the training"),
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
