from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcore.data.upload import UploadError, clean, keep, receive


def packed(text: str = "x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("cat/1.txt"), text)  # without the time of day
    return buffer.getvalue()


def test_an_upload_is_kept_under_its_contents_hash_with_its_name(tmp_path):
    path = receive(io.BytesIO(packed()), "My flowers.ZIP", tmp_path)
    assert path.read_bytes() == packed()
    assert path.name == "My flowers.zip"
    assert receive(io.BytesIO(packed()), "again.zip", tmp_path) == path
    assert receive(io.BytesIO(packed("y")), "other.zip", tmp_path).parent != path.parent
    assert sorted(found.name for found in tmp_path.rglob("*") if found.is_file()) == ["My flowers.zip", "other.zip"]


def test_any_other_file_is_kept_as_it_is_and_limited_too(tmp_path):
    path = keep(io.BytesIO(b"tensors"), "../My net.SafeTensors", tmp_path)
    assert (path.read_bytes(), path.name, path.parent.parent) == (b"tensors", "My net.safetensors", tmp_path)
    assert keep(io.BytesIO(b"tensors"), "again.onnx", tmp_path).name == "again.onnx"  # the ending says what it is
    with pytest.raises(UploadError, match="more than 0 MB"):
        keep(io.BytesIO(b"tensors"), "large.onnx", tmp_path, most=3)
    assert clean("no ending") == "no ending"


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (packed(), "flowers.tar.gz", "is not a .zip"),
        (b"not a zip", "flowers.zip", "is not a complete zip file"),
        (packed()[:-30], "flowers.zip", "is not a complete zip file"),
        (packed("z" * 2000), "flowers.zip", "more than 0 MB"),
        (b"", "flowers.zip", "is not a complete zip file"),
    ],
    ids=["other name", "text", "cut short", "too large", "empty"],
)
def test_what_is_refused_leaves_nothing(tmp_path, content, name, words):
    with pytest.raises(UploadError, match=words):
        receive(io.BytesIO(content), name, tmp_path, most=1000)
    assert list(tmp_path.iterdir()) == []


class _Full(io.BytesIO):
    def read(self, *_):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(UploadError, match="No space left on device"):
        receive(_Full(), "flowers.zip", tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=200))
def test_every_name_becomes_one_that_stays_in_its_folder(name):
    made = clean(f"{name}.zip")
    assert made.endswith(".zip")
    assert not made.startswith((".", " "))
    assert not set(made) & set('/\\:*?"<>|\0\n')
    assert len(made) < 100
