"""NumPy files, read beside other threads."""

from __future__ import annotations

import numpy as np
import pytest

from kdcore import arrays


@pytest.fixture
def unsteady(monkeypatch):
    """numpy's header parser fails at first, as on CPython 3.11 when another thread parses too."""

    def fail(times):
        whole, left = np.load, [times]

        def load(*given, **named):
            if left[0]:
                left[0] -= 1
                raise SystemError("AST constructor recursion depth mismatch")
            return whole(*given, **named)

        monkeypatch.setattr(np, "load", load)

    return fail


def test_a_file_is_read_again_when_another_thread_was_in_the_way(tmp_path, unsteady):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.savez(tmp_path / "b.npz", test=np.arange(4), train=np.arange(2))
    unsteady(2)
    assert arrays.load(tmp_path / "a.npy").tolist() == [0, 1, 2]
    unsteady(2)
    found = arrays.stored(tmp_path / "b.npz")
    assert {name: len(one) for name, one in found.items()} == {"test": 4, "train": 2}


def test_what_stays_wrong_is_raised(tmp_path, unsteady):
    np.save(tmp_path / "a.npy", np.arange(3))
    unsteady(100)
    with pytest.raises(SystemError):
        arrays.load(tmp_path / "a.npy")


def test_a_pickle_is_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError):
        arrays.load(tmp_path / "a.npy")
