"""Running out of memory: the batch that would have fitted is found and told, and nothing goes on by itself."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from kdcore.train.loop import fit
from kdcore.train.memory import OutOfMemory, largest, ran_out
from kdcore.train.objective import Objective
from tests.train.conftest import network, stop_after


class Small(Objective):
    """A device on which batches above `most` do not fit."""

    def __init__(self, most, error=None):
        self.most, self.tried = most, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def loss(self, network, batch):
        self.tried.append(len(batch.images))
        if len(batch.images) > self.most:
            raise self.error
        return super().loss(network, batch)


@pytest.mark.parametrize(
    ("most", "fits"),
    [(15, 8), (1, None), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((8, 8), (4, 4), (3, 2)))],
)
def test_what_would_fit_is_told(task, tmp_path, most, fits):
    lesson = Small(most)
    with pytest.raises(OutOfMemory) as caught:
        fit(network(), replace(task, lesson=lesson), tmp_path)
    assert (caught.value.batch_size, caught.value.fits) == (16, fits)
    assert "batches of 16" in str(caught.value)
    assert (f"batches of {fits} fit" if fits else "do not fit either") in str(caught.value)
    assert lesson.tried == [size for size in (16, 8, 4, 2) if size >= (fits or 2)]
    assert not (tmp_path / "checkpoint").exists()


def test_a_machine_without_memory_counts_as_well_and_other_errors_do_not(task, tmp_path):
    told = RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried")
    for error in (told, MemoryError()):
        assert ran_out(error)
        with pytest.raises(OutOfMemory):
            fit(network(), replace(task, lesson=Small(8, error)), tmp_path)
    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(network(), replace(task, lesson=Small(8, RuntimeError("shapes differ"))), tmp_path)


def test_the_checkpoint_of_the_last_epoch_is_left_as_it_was(task, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(network(), task, tmp_path, check=stop_after(30))
    before = content(tmp_path / "checkpoint")
    with pytest.raises(OutOfMemory):
        fit(network(), replace(task, lesson=Small(8)), tmp_path)
    assert content(tmp_path / "checkpoint") == before


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_the_broken_step_had_taken_is_free_when_smaller_batches_are_tried(task, tmp_path):
    taken, alive = [], []

    class Full(Small):
        def loss(self, network, batch):
            if len(batch.images) == 16:
                activations = batch.images * 2
                taken.append(weakref.ref(activations))
            else:
                gc.collect()
                alive.append(taken[0]() is not None)
            return super().loss(network, batch)

    with pytest.raises(OutOfMemory):
        fit(network(), replace(task, lesson=Full(8)), tmp_path)
    assert alive == [False]


def test_errors_in_the_trial_that_are_about_something_else_are_told():
    def attempt(size):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        largest(16, attempt)
