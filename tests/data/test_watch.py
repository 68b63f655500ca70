"""What is noticed of a person's pictures after they were prepared: everything that the reader reads."""

import os

import pytest

from kdcore.data import dataset
from kdcore.data.fetch import fetch
from kdcore.data.pictures import watch
from kdcore.registry import validate
from tests.data.sets.test_folder import plain

DEEP = {f"{kind}/{camera}/{n}.png": (n, 10) for kind in "ab" for camera in ("one", "two") for n in range(5)}


@pytest.fixture
def deep(pictures, monkeypatch, tmp_path):
    """Pictures in folders of class folders, prepared, and the options that choose them."""
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))
    top = pictures(DEEP)
    source = validate("dataset", {"dataset": "folder", "path": str(top), "splits": False})
    return top, source, fetch(source)


def added(top):
    (top / "a" / "two" / "new.png").write_bytes(plain(3, side=10))


def moved(top):
    (top / "a" / "one" / "3.png").rename(top / "b" / "one" / "moved.png")


def removed(top):
    (top / "b" / "two" / "4.png").unlink()


def overwritten(top):
    (top / "b" / "two" / "4.png").write_bytes(plain(200, side=10))


def renamed(top):
    (top / "b" / "two").rename(top / "b" / "zwei")


@pytest.mark.parametrize("change", [added, moved, removed, overwritten, renamed])
def test_a_change_in_a_folder_of_a_class_folder_is_noticed(deep, change):
    top, source, first = deep
    change(top)
    with pytest.raises(dataset.NotFetched):
        dataset.load(source)
    if change is not renamed:
        assert fetch(source).fingerprint != first.fingerprint


def test_a_table_deep_among_the_pictures_is_watched(pictures):
    top = pictures({"outer/inner/pets/1.png": (1, 10)})
    table = top / "outer" / "inner" / "pets" / "labels.csv"
    table.write_text("file,cat,dog\n1.png,1,0\n")
    first = watch.stamp(top)
    table.write_text("file,cat,dog\n1.png,0,1\n")
    assert watch.stamp(top) != first


def test_what_is_not_read_is_not_watched(deep):
    top, _, _ = deep
    (top / "a" / ".cache").mkdir()
    first = watch.stamp(top)
    (top / "a" / ".cache" / "thumbnail.png").write_bytes(plain())
    assert watch.stamp(top) == first


def test_of_very_many_files_the_folders_are_watched_alone(deep, monkeypatch):
    top, _, _ = deep
    monkeypatch.setattr(watch, "MOST_FILES", 19)
    watch._inside.cache_clear()
    first = watch.stamp(top)
    overwritten(top)
    assert watch.stamp(top) == first
    os.utime(top / "b" / "two")
    assert watch.stamp(top) != first


def test_a_folder_that_stays_is_not_read_again(deep, monkeypatch):
    top, _, _ = deep
    monkeypatch.setattr(watch, "SETTLED", -(10**18))  # as if these folders had been there for long
    first = watch.stamp(top)
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("read again"))
    assert watch.stamp(top) == first
