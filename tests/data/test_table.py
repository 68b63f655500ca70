"""labels.csv: which classes each picture shows."""

import numpy as np
import pytest

from kdcore.data.pictures.names import Refused
from kdcore.data.pictures.table import layout

AT = ("labels.csv",)
PICTURES = [(f"{n}.png",) for n in range(8)]
BINARY = "file,cat,dog\n" + "".join(f"{n}.png,{n % 2},{int(n < 5)}\n" for n in range(8))


def sets_by_picture(content, pictures=PICTURES, at=AT, share=0.3):
    found = layout(content.encode() if isinstance(content, str) else content, at, pictures, share)
    assert sorted(index for index, _ in (*found.train, *found.test)) == list(range(len(pictures)))
    return found, {index: found.sets[row].tolist() for index, row in (*found.train, *found.test)}


def refusal(content, pictures=PICTURES, at=AT):
    with pytest.raises(Refused) as caught:
        layout(content.encode() if isinstance(content, str) else content, at, pictures, 0.3)
    return str(caught.value)


def test_a_column_of_zeros_and_ones_for_each_class():
    found, sets = sets_by_picture(BINARY)
    assert found.classes == ("cat", "dog")
    assert found.sets.dtype == np.uint8
    assert sets == {n: [n % 2, int(n < 5)] for n in range(8)}
    assert len(found.test) == 2


def test_one_column_of_names_says_the_same_and_an_empty_cell_is_no_class():
    names = {(1, 1): "dog; cat", (1, 0): "cat", (0, 1): "dog", (0, 0): ""}
    text = "file,shows\n" + "".join(f"{n}.png,{names[n % 2, int(n < 5)]}\n" for n in range(8))
    assert sets_by_picture(text)[1] == sets_by_picture(BINARY)[1]
    assert sets_by_picture(text.replace("; ", "|"))[1] == sets_by_picture(BINARY)[1]


@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n"), lambda text: text.replace(",", ";"),
    lambda text: text.replace(",", "\t"), lambda text: text + "\n,,\n", lambda text: text.replace("3.png", '"3.png"'),
    lambda text: text.replace("\n0.png", "\n./0.png"),
    lambda text: "\n".join([text.split("\n")[0], *text.split("\n")[:0:-1]]),
])  # fmt: skip
def test_tables_as_programs_write_them(change):
    assert sets_by_picture(change(BINARY))[1] == sets_by_picture(BINARY)[1]


def test_pictures_are_found_from_where_the_table_lies_or_by_their_name():
    inside = [("pets", "images", *picture) for picture in PICTURES]
    assert sets_by_picture(BINARY, inside, ("pets", "labels.csv"))[1] == sets_by_picture(BINARY)[1]
    deep = BINARY.replace("\n", "\nimages/").removesuffix("images/")
    assert sets_by_picture(deep, inside, ("pets", "labels.csv"))[1] == sets_by_picture(BINARY)[1]
    twins = [*inside[:-1], ("pets", "more", "0.png")]
    assert "line 2: 2 pictures are called '0.png'" in refusal(BINARY, twins, ("pets", "labels.csv"))


def test_train_and_test_folders_are_the_splits():
    pictures = [("test" if n in (3, 4) else "train", f"{n}.png") for n in range(8)]
    found, _ = sets_by_picture(BINARY, pictures)
    assert [index for index, _ in found.test] == [3, 4]


@pytest.mark.parametrize(("content", "told"), [
    (BINARY.replace("4.png,0,1", "4.png,0,yes"), "line 6, column 'dog' holds 'yes': 0 and 1 are accepted"),
    (BINARY.replace("4.png,0,1", "4.png,0"), "line 6 has 2 columns, and the header has 3"),
    (BINARY.replace("4.png", "nine.png"), "line 6: picture 'nine.png' does not exist"),
    (BINARY.replace("4.png", "../../etc/passwd"), "line 6, column 1: '../../etc/passwd' leads out"),
    (BINARY.replace("4.png", "/etc/passwd"), "line 6, column 1: '/etc/passwd' is an absolute path"),
    (BINARY.replace("4.png", "3.png"), "line 6 repeats '3.png' of line 5"),
    (BINARY.replace("7.png,1,0\n", ""), "7.png has no line in labels.csv"),
    (BINARY.replace("cat", "Dog"), "classes 'Dog' and 'dog' have the same name"),
    (BINARY.replace("cat", "dog"), "classes 'dog' and 'dog' have the same name"),
    (BINARY.replace("cat", ""), "'' is not a valid class name"),
    (BINARY.replace("cat", "c\x07t"), "is not a valid class name"),
    (BINARY.replace("cat", "x" * 101), "is not a valid class name"),
    (BINARY.split("\n")[0], "no line below its header"),
    ("", "fewer than two columns"),
    ("file\n0.png\n", "fewer than two columns"),
    ("file,shows\n" + "".join(f"{n}.png,cat\n" for n in range(8)), "names 1 classes"),
    ("file,shows\n" + "".join(f"{n}.png,cat;;dog\n" for n in range(8)), "line 2, column 'shows': a class has no name"),
    (BINARY.replace("3.png", '"3.png'), "cannot be read"),
    (BINARY.encode("utf-16"), "is not written in UTF-8"),
    (b"file,cat,dog\n0.png,1,0\n1\xff.png,0,0\n", "line 3 is not written in UTF-8"),
    (BINARY.replace("4.png", "4.png" + "a" * 200_000), "line 6 cannot be read (field larger than field limit"),
    (BINARY.replace(",1\n", ",0\n"), "class 'dog' is in 0 training and 0 test pictures"),
])  # fmt: skip
def test_what_cannot_be_right_is_told_with_line_and_column(content, told):
    assert told in refusal(content)


def test_a_comma_within_quotes_separates_labels():
    lines = "".join(f'{n}.png,"{"haze, primary" if n < 5 else "clear,primary"}"\n' for n in range(8))
    found, sets = sets_by_picture("file,tags\n" + lines)
    assert found.classes == ("clear", "haze", "primary")
    assert sets[0] == [0, 1, 1]


def test_names_of_two_words_that_share_none_are_names():
    lines = "".join(f"{n}.png,{'traffic light' if n < 5 else 'stop sign'}\n" for n in range(8))
    assert sets_by_picture("file,tags\n" + lines)[0].classes == ("stop sign", "traffic light")


def test_splits_of_other_names_are_recognised_said_or_switched_off():
    pictures = [("test_set" if n % 4 == 3 else "training_set", f"{n}.png") for n in range(8)]
    table = BINARY.replace("\n7.png,1,0", "\n7.png,1,1").encode()
    held = [3, 7]
    found = layout(table, AT, pictures, 0.3)
    assert sorted(index for index, _ in found.test) == held
    strange = [("b" if top == "test_set" else "a", name) for top, name in pictures]
    said = layout(table, AT, strange, 0.3, test_folder="B")
    assert sorted(index for index, _ in said.test) == held
    drawn = layout(table, AT, pictures, 0.3, splits=False)
    assert sorted(index for index, _ in drawn.test) != held
