"""Images in memory and images on the disk: the same training, and of the disk's only what is needed."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdcore.inputs import images as module
from kdcore.inputs.images import InMemoryImages, StreamedImages, images, pixels, portion, portions
from kdcore.train.loop import fit
from tests import patience
from tests.train.conftest import bright, network, same, state

CPU = torch.device("cpu")


@pytest.fixture
def stored(tmp_path):
    """uint8 (90, 8, 8, 1) on the disk; the rows 20 to 79, last first, are those that count."""
    shown, _ = bright(90)
    np.save(tmp_path / "images.npy", shown.permute(0, 2, 3, 1).numpy())
    return np.load(tmp_path / "images.npy", mmap_mode="r"), np.arange(79, 19, -1)


def test_streamed_from_the_disk_the_training_is_the_same_to_the_bit(task, tmp_path, stored):
    array, rows = stored
    made = []
    for number, given in enumerate((InMemoryImages(pixels(array[rows])), StreamedImages(array, rows, CPU))):
        (tmp_path / str(number)).mkdir()
        model = network()
        fit(model, replace(task, images=given), tmp_path / str(number))
        made.append(state(model))
    assert same(*made)


def test_the_next_batch_is_read_while_this_one_is_learnt_and_never_more(stored):
    array, rows = stored
    streamed, asked = StreamedImages(array, rows, CPU), []
    read = streamed._read
    done = threading.Semaphore(0)

    def watched(indices):
        asked.append((indices.tolist(), threading.current_thread() is threading.main_thread()))
        found = read(indices)
        done.release()
        return found

    streamed._read = watched
    first, second, third = (np.array(one) for one in ([3, 1], [5, 5], [7, 0]))
    expected = torch.from_numpy(np.array(array)).permute(0, 3, 1, 2)[rows]
    assert torch.equal(streamed.batch(first, second), expected[first])
    assert done.acquire(timeout=patience.SECONDS)
    assert done.acquire(timeout=patience.SECONDS), "the next batch was not read ahead"
    assert torch.equal(streamed.batch(second, None), expected[second])
    assert asked == [([3, 1], True), ([5, 5], False)], "read twice, or more than was asked for"
    assert torch.equal(streamed.batch(third, first), expected[third])
    assert torch.equal(streamed.batch(second, None), expected[second]), "another batch than was foretold"


def test_a_set_that_would_fill_the_memory_stays_on_the_disk(stored, monkeypatch):
    array, rows = stored
    assert isinstance(images(array, rows, CPU), InMemoryImages)
    bytes_needed = len(rows) * 64
    for free, kind in ((bytes_needed / 0.3 - 1, StreamedImages), (bytes_needed / 0.3 + 1, InMemoryImages)):
        monkeypatch.setattr(module.psutil, "virtual_memory", lambda free=free: type("Memory", (), {"available": free}))
        made = images(array, rows, CPU)
        assert isinstance(made, kind)
        assert (len(made), made.shape) == (60, (1, 8, 8))
        assert torch.equal(made.batch(np.array([0, 59])), pixels(array[[79, 20]]))


def test_large_images_are_shown_to_a_network_a_few_at_a_time():
    assert portion((3, 32, 32)) == 512
    assert portion((3, 224, 224)) == 55
    assert portion((3, 9000, 9000)) == 1
    given = torch.randint(0, 256, (1030, 1, 8, 8), dtype=torch.uint8)
    parts = list(portions(given))
    assert [len(part) for part in parts] == [512, 512, 6]
    torch.testing.assert_close(torch.cat(parts), given / 255)
