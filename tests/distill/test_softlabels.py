"""Soft-label files: what is written is read again, and what does not fit is refused by name."""

from __future__ import annotations

import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcore.distill.softlabels import BadSoftLabels, about, read, write

DATA = SimpleNamespace(
    name="tiny",
    train_labels=np.zeros(5, int),
    test_labels=np.zeros(3, int),
    classes=("a", "b", "c"),
    fingerprint="f" * 64,
)
WHOLE = {
    "logits": np.arange(15, dtype=np.float32).reshape(5, 3),
    "fingerprint": np.array(DATA.fingerprint),
    "classes": np.array(DATA.classes),
    "temperature": np.array(1.0),
    "source": np.array("a test"),
}


def written(path, **changes):
    arrays = {name: value for name, value in {**WHOLE, **changes}.items() if value is not None}
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "soft.npz"
    train, test = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)[:5], np.eye(3, dtype=np.float32)
    write(path, DATA, train, test, "a network")
    found = read(path, DATA)
    np.testing.assert_array_equal(found.train, train)
    np.testing.assert_array_equal(found.test, test)
    assert found.source == "a network"
    assert about(path, DATA) == ("a network", True)


def test_without_answers_to_the_test_images_it_still_teaches(tmp_path):
    assert read(written(tmp_path / "a.npz"), DATA).test is None
    assert about(tmp_path / "a.npz", DATA) == ("a test", False)


def test_probabilities_written_hot_are_the_same_teacher(tmp_path):
    """softmax(z / T) with its temperature gives back z, up to a constant an image."""
    logits = np.random.default_rng(1).normal(size=(5, 3)) * 3
    hot = np.exp(logits / 4) / np.exp(logits / 4).sum(1, keepdims=True)
    found = read(written(tmp_path / "a.npz", logits=None, probabilities=hot, temperature=np.array(4.0)), DATA).train
    np.testing.assert_allclose(found - found[:, :1], logits - logits[:, :1], atol=1e-4)


def test_a_probability_of_zero_has_a_logarithm(tmp_path):
    found = read(written(tmp_path / "a.npz", logits=None, probabilities=np.eye(3)[[0, 1, 2, 0, 1]]), DATA).train
    assert np.isfinite(found).all()
    assert found.argmax(1).tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fingerprint": np.array("0" * 64)}, "written for the data set 0000"),
        ({"classes": np.array(["a", "c", "b"])}, "its classes are a, c, b"),
        ({"classes": np.array(["a", "b"])}, "its classes are a, b"),
        ({"logits": WHOLE["logits"][:4]}, r"needed are floating-point numbers \(5, 3\)"),
        ({"logits": WHOLE["logits"].astype(int)}, "floating-point"),
        ({"logits": None}, "neither 'logits' nor 'probabilities'"),
        ({"probabilities": np.eye(3)[[0, 1, 2, 0, 1]]}, "both 'logits' and 'probabilities'"),
        ({"logits": np.where(np.eye(5, 3) > 0, np.nan, 1.0)}, "not finite, first for example 0"),
        ({"logits": None, "probabilities": np.full((5, 3), 0.5)}, "sum to 1; those of example 0"),
        ({"logits": None, "probabilities": np.tile([1.5, -0.5, 0.0], (5, 1))}, "at least 0"),
        ({"test_logits": np.zeros((4, 3))}, r"'test_logits' is float64 \(4, 3\)"),
        ({"temperature": np.array(0.0)}, "'temperature' must be one number"),
        ({"temperature": np.array([1.0, 2.0])}, "'temperature' must be one number"),
        ({"temperature": np.array("hot")}, "'temperature' must be one number"),
        ({"temperature": None}, "it has no 'temperature'"),
        ({"extra": np.zeros(1)}, "it contains 'extra'"),
        ({"logits": np.zeros((5000, 30))}, "more numbers than this data set"),
        ({"logits": np.array([[{}] * 3] * 5, dtype=object)}, "plain arrays"),
        ({"logits": np.full((5, 3), 1e300), "temperature": np.array(100.0)}, "too large"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path, changes, words):
    with pytest.raises(BadSoftLabels, match=words):
        read(written(tmp_path / "a.npz", **changes), DATA)


def test_an_archive_that_unpacks_to_more_than_it_says_takes_no_memory(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logits.npy", bytes(200_000_000))
    assert path.stat().st_size < 300_000
    with pytest.raises(BadSoftLabels, match="more numbers than"):
        read(path, DATA)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(BadSoftLabels):
        read(path, DATA)


GOOD = io.BytesIO()
np.savez(GOOD, **WHOLE)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(GOOD.getvalue()) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_file_teaches_nothing_that_is_no_number(tmp_path_factory, changes):
    content = bytearray(GOOD.getvalue())
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    try:
        found = read(path, DATA)
    except BadSoftLabels:
        return
    assert found.train.shape == (5, 3)
    assert np.isfinite(found.train).all()
