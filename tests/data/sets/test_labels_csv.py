"""A person's own pictures with several labels each, from the files to the data set."""

import zipfile

import numpy as np
import pytest

from kdcore.data import dataset
from kdcore.data.fetch import fetch, status
from kdcore.problems import RecipeError
from kdcore.registry import validate


@pytest.fixture
def made(pictures, monkeypatch, tmp_path):
    """Ten pictures of one colour each, n times 20, their table, and the options that choose them."""
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))
    top = pictures({f"images/{n}.png": (20 * n, 12) for n in range(10)}, name="pets")
    lines = [f"{n}.png,{n % 2},{int(n < 6)}" for n in range(10)]
    (top / "labels.csv").write_text("\n".join(["file,cat,dog", *lines]))
    return top, lambda path=top, **more: validate("dataset", {"dataset": "labels_csv", "path": str(path), **more})


def test_pictures_and_their_label_sets_stay_together(made):
    _, chosen = made
    found = fetch(chosen())
    assert (found.name, found.classes, found.multilabel) == ("pets", ("cat", "dog"), True)
    assert (found.train_images.shape, found.test_images.shape) == ((8, 12, 12, 3), (2, 12, 12, 3))
    for images, sets in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        numbers = np.rint(images[:, 0, 0, 0] / 20).astype(int)
        assert sets.tolist() == [[n % 2, int(n < 6)] for n in numbers]
    assert status(chosen()).message == ""


def test_a_zip_gives_the_same(made, tmp_path):
    top, chosen = made
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(top.rglob("*.*")):
            archive.write(file, f"pets/{file.relative_to(top)}")
        archive.writestr("pets/notes.txt", "x")
    assert fetch(chosen(path)).fingerprint == fetch(chosen()).fingerprint
    assert status(chosen(path)).message == "1 file that is not a picture was left out: pets/notes.txt"


def test_a_table_that_was_edited_in_place_is_read_anew(made):
    top, chosen = made
    first = fetch(chosen())
    table = top / "labels.csv"
    table.write_text(table.read_text().replace("9.png,1,0", "9.png,1,1"))
    with pytest.raises(dataset.NotFetched):
        dataset.load(chosen())
    assert fetch(chosen()).fingerprint != first.fingerprint


def test_what_is_wrong_is_told_at_the_field(made):
    top, chosen = made
    (top / "labels.csv").write_text("file,cat,dog\n0.png,1,2\n" + "".join(f"{n}.png,1,0\n" for n in range(1, 10)))
    with pytest.raises(RecipeError, match=r"data.source.path: pets: labels.csv, line 2, column 'dog' holds '2'"):
        fetch(chosen())
    (top / "labels.csv").unlink()
    with pytest.raises(RecipeError, match=r"there is no labels.csv next to the pictures: it needs a column of file"):
        fetch(chosen())
    for place in ("", "images"):
        (top / place / "labels.csv").write_text("file,cat,dog\n")
    with pytest.raises(RecipeError, match="are two tables: keep one"):
        fetch(chosen())


def test_unreadable_pictures_leave_with_their_lines(made):
    top, chosen = made
    (top / "images" / "9.png").write_bytes(b"no picture")
    with pytest.raises(RecipeError, match=r"9.png cannot be read .* 1 of 10 pictures cannot be read"):
        fetch(chosen())
    found = fetch(chosen(skip_unreadable=True))
    assert len(found.train_labels) + len(found.test_labels) == 9
    for images, sets in ((found.train_images, found.train_labels), (found.test_images, found.test_labels)):
        numbers = np.rint(images[:, 0, 0, 0] / 20).astype(int)
        assert sets.tolist() == [[n % 2, int(n < 6)] for n in numbers]


def test_several_labels_in_one_field_by_space_are_asked_about(made):
    top, chosen = made
    lines = [f"{n}.png,{'haze primary' if n < 5 else 'clear primary'}" for n in range(10)]
    (top / "labels.csv").write_text("\n".join(["image_name,tags", *lines]))
    with pytest.raises(RecipeError, match=r"'haze primary': is that one class or 2\? Set separator to space"):
        fetch(chosen())
    assert fetch(chosen(separator="space")).classes == ("clear", "haze", "primary")
    assert fetch(chosen(separator=";")).classes == ("clear primary", "haze primary")
