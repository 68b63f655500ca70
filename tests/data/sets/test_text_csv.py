"""A person's own table of texts: read line by line, and refused in one message where it cannot be used."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from kdcore.data.fetch import fetch
from kdcore.problems import RecipeError
from kdcore.registry import validate
from kdcore.report import documents
from tests import folders


def source(tmp_path, content, name="mine.csv", **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return validate("dataset", {"dataset": "text_csv", "path": str(path), **options})


def rows(*labels, each=6):
    return "".join(f"{label} number {place},{label}\n" for label in labels for place in range(each))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))


def test_a_table_becomes_texts_with_classes_in_the_order_of_their_names(tmp_path):
    made = fetch(source(tmp_path, "text,label\n" + rows("no", "yes", each=10)))
    assert made.classes == ("no", "yes")
    assert (len(made.train_labels), len(made.test_labels)) == (16, 4)
    texts = [*made.train_images, *made.test_images]
    labels = [*made.train_labels, *made.test_labels]
    assert sorted(texts) == sorted(f"{label} number {place}" for label in ("no", "yes") for place in range(10))
    assert all(text.startswith(made.classes[label]) for text, label in zip(texts, labels, strict=True))
    assert made.shape[0] == "text"
    assert fetch(source(tmp_path, "text,label\n" + rows("no", "yes", each=10))).fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("\ufefflabel;other;text\n" + "".join(f"{k};x;a {k} {n}\n" for k in "ab" for n in range(5)), "bom.csv"),
        ("label\ttext\n" + "".join(f"{k}\ta, {k} {n}\n" for k in "ab" for n in range(5)), "tabs.tsv"),
        ('text,label\n' + "".join(f'"two\nlines, {n}",{k}\n' for k in "ab" for n in range(5)), "quoted.csv"),
    ],
)  # fmt: skip
def test_tables_as_programs_write_them(tmp_path, content, name):
    made = fetch(source(tmp_path, content, name))
    assert made.classes == ("a", "b")
    assert len(made.train_labels) + len(made.test_labels) == 10


def test_columns_of_other_names_and_a_table_for_testing(tmp_path):
    test = source(tmp_path, "sentence,mood\n" + rows("bad", "good", each=4), "test.csv").path
    made = fetch(
        source(tmp_path, "sentence,mood\n" + rows("bad", "good"), text="sentence", label="mood", test_path=test)
    )
    assert (len(made.train_labels), len(made.test_labels)) == (12, 8)


def test_long_texts_are_cut_and_what_training_does_not_have_is_unknown(tmp_path):
    made = fetch(source(tmp_path, "text,label\n" + rows("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"), longest=8))
    assert made.shape[2] == 8
    assert made.train_images.ids.lengths.max() == 8


def test_rows_without_text_or_label_are_left_out_and_counted(tmp_path):
    from kdcore.data.fetch import status

    asked = source(tmp_path, "text,label\n" + rows("a", "b") + ",a\nlonely\nx,\n\n")
    assert len(fetch(asked).train_labels) == 10
    assert "rows without a text or a label" in status(asked).message


HOSTILE = {
    "empty": (b"", "first line is empty"),
    "no names": (b"\n" + rows("a", "b").encode(), "first line is empty"),
    "one column": (b"text\nhello\nworld\n", "no column 'label'"),
    "other names": (b"sentence,mood\nhello,good\n", "no column 'text'"),
    "only names": (b"text,label\n", "no row has"),
    "one class": (("text,label\n" + rows("a")).encode(), "two classes"),
    "rare class": (("text,label\n" + rows("a", "b") + "x,c\n").encode(), "class 'c' has 1 texts"),
    "as many labels as rows": (("text,label\n" + "".join(f"t,{n}\n" for n in range(1001))).encode(), "1,001 different"),
    "huge line": (b"text,label\n" + b"x" * 10**6 + b",a\n", "line 2 has more than"),
    "open quote": (('text,label\n"' + rows("a", "b")).encode(), "quotation marks"),
    "null": (b"text,label\nhe\0llo,a\n", "line 2 contains a null"),
    "utf-16": ("text,label\nhello,a\n".encode("utf-16"), "line 1"),
    "latin-1": ("text,label\nhello,a\nGarcía,b\n".encode("latin-1"), "line 3 is not written in UTF-8"),
    "mixed": ("text,label\nGarcía,b\n".encode() + "García,b\n".encode("latin-1"), "line 3 is not written in UTF-8"),
}


def test_labels_that_are_formulas_stay_words(tmp_path):
    labels = ('=HYPERLINK("http://x")', "+1+1", "-2", "@SUM(A1)")
    lines = [f'text {number},"{label.replace(chr(34), 2 * chr(34))}"' for label in labels for number in range(5)]
    made = fetch(source(tmp_path, "\n".join(["text,label", *lines])))
    assert made.classes == tuple(sorted(labels))
    written = documents.write(pd.DataFrame({"class": made.classes}), "csv").decode().splitlines()[1:]
    assert not any(line.lstrip('"').startswith(("=", "+", "-", "@")) for line in written)


@pytest.mark.slow
def test_a_million_rows_are_read_line_by_line(tmp_path):
    lines = (f"text {number},{'ab'[number % 2]}\n" for number in range(10**6))
    path = tmp_path / "million.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        file.writelines(lines)
    made = fetch(validate("dataset", {"dataset": "text_csv", "path": str(path)}))
    assert len(made.train_labels) + len(made.test_labels) == 10**6
    assert made.train_images[:2].shape[0] == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_used_is_refused_in_one_message_at_its_field(tmp_path, name):
    content, message = HOSTILE[name]
    with pytest.raises(RecipeError, match=message) as refused:
        fetch(source(tmp_path, content))
    assert [one.field for one in refused.value.problems] == ["data.source.path"]
    assert len(str(refused.value)) < 300


def test_a_path_that_is_not_there_is_refused_before_anything_is_read(tmp_path):
    gone = validate("dataset", {"dataset": "text_csv", "path": str(tmp_path / "gone.csv")})
    for asked in (gone, validate("dataset", "text_csv")):
        with pytest.raises(RecipeError, match="csv"):
            fetch(asked)


def test_a_label_that_only_the_test_table_has_is_refused(tmp_path):
    test = source(tmp_path, "text,label\nx,c\n" + rows("c", "b"), "test.csv").path
    with pytest.raises(RecipeError, match="'c' is not in the training table") as refused:
        fetch(source(tmp_path, "text,label\n" + rows("a", "b"), test_path=test))
    assert refused.value.problems[0].field == "data.source.test_path"


def test_a_models_tokenizer_splits_the_texts_or_says_what_to_install(tmp_path, monkeypatch):
    folder = str(folders.folder(tmp_path / "model"))
    asked = source(tmp_path, "text,label\n" + rows("good", "bad"), tokenizer=folder, longest=8)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(RecipeError, match=r"pip install 'kdcore\[text\]'") as refused:
        fetch(asked)
    assert [one.field for one in refused.value.problems] == ["data.source.tokenizer"]
    monkeypatch.undo()
    monkeypatch.setenv("KDCORE_DATA", str(tmp_path / "data"))
    pytest.importorskip("tokenizers", reason="splits texts with tokenizers: pip install 'kdcore[text]'")
    assert fetch(asked).shape[2:4] == (8, len(folders.WORDS))


def test_a_folder_without_a_tokenizer_is_refused_at_its_field(tmp_path):
    gone = source(tmp_path, "text,label\n" + rows("good", "bad"), tokenizer=str(tmp_path / "gone"))
    with pytest.raises(RecipeError, match="is no folder with") as refused:
        fetch(gone)
    assert [one.field for one in refused.value.problems] == ["data.source.tokenizer"]
