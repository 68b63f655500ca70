"""Surnames of 20 languages, each name once."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore.data.dataset import load
from kdcore.registry import validate


@pytest.fixture(scope="module")
def surnames():
    return load(validate("dataset", "surnames"))


def test_a_name_belongs_to_one_language_and_to_one_split(surnames):
    assert len(surnames.classes) == 20
    names = [*surnames.train_images, *surnames.test_images]
    assert len(names) > 15_000
    assert len(set(names)) == len(names)
    counts = np.bincount(np.concatenate([surnames.train_labels, surnames.test_labels]))
    assert counts.min() > 300
    assert "García" in names or "Abascal" in names


def test_every_language_has_its_share_of_test_names(surnames):
    trained, tested = (np.bincount(labels) for labels in (surnames.train_labels, surnames.test_labels))
    np.testing.assert_allclose(tested / (trained + tested), 0.2, atol=0.01)
    assert surnames.shape[:2] == ("text", 7)
