"""Latency on a GPU: what can be checked without one is checked with a device whose clock is the test's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kdcore import models, registry
from kdcore.export import weights
from kdcore.measure import cuda, timing

SHAPE = (1, 8, 8)
FOLDERS = {"teacher": Path("teacher"), "student": Path("student"), "int8": None}
MS = {"teacher": 4.0, "student": 1.0}  # eager, one image, fp32
FASTER = {"eager": 1, "graph": 4, "compiled": 2}


class Clock:
    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Device:
    """A GPU by arithmetic: bf16 takes half the time, 64 images eight times as long; every fifth call three times."""

    about = {"device": "a test's", "tf32": True}

    def __init__(self, clock, compiling=0.0, broken=()):
        self.clock, self.compiling, self.broken = clock, compiling, broken
        self.made, self.runs = [], []

    def ready(self, folder, mode, precision, images):
        assert images.shape[1:] == SHAPE
        if mode in self.broken:
            raise RuntimeError("no compiler\nis installed")
        self.clock.now += self.compiling if mode == "compiled" else 0
        self.made.append((len(images), mode, precision, folder.name))
        scale = (0.5 if precision == "bf16" else 1) * (8 if len(images) == 64 else 1)
        milliseconds, calls = MS[folder.name] * scale / FASTER[mode], iter(range(10**6))
        name = (len(images), folder.name, precision, mode)
        return lambda: (name, milliseconds * (3 if next(calls) % 5 == 4 else 1))

    def timed(self, call):
        name, milliseconds = call()
        self.runs.append(name)
        self.clock.now += milliseconds / 1000
        return round(milliseconds * 1e6)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(cuda, "time", made)
    monkeypatch.setattr(timing, "time", made)
    return made


def test_each_network_is_timed_in_each_mode_at_each_precision_and_batch(clock):
    found = cuda.session(FOLDERS, SHAPE, Device(clock), seconds=100)
    for key, eager in MS.items():
        for batch, scale in (("1", 1), ("64", 8)):
            for precision, part in (("fp32", 1), ("bf16", 0.5)):
                modes = found["models"][key]["batches"][batch][precision]
                assert list(modes) == list(cuda.MODES)
                for mode, one in modes.items():
                    assert one["ms"] == pytest.approx(eager * scale * part / FASTER[mode])
                    assert one["p90_ms"] == pytest.approx(3 * one["ms"])
    assert found["models"]["int8"] == {"reason": cuda.NO_NETWORK}
    assert (found["device"], found["tf32"], found["protocol"]["clock"]) == ("a test's", True, "CUDA events")
    json.dumps(found, allow_nan=False)


def test_all_take_part_in_every_round(clock):
    device = Device(clock)
    rounds = cuda.session(FOLDERS, SHAPE, device, seconds=100)["protocol"]["rounds"]
    assert min(rounds.values()) >= timing.FEWEST_ROUNDS
    runs = [name for name in device.runs if name[0] == 1]
    names = set(runs)
    assert len(names) == 2 * 2 * 3
    turns = [name for at, name in enumerate(runs) if at == 0 or runs[at - 1] != name][len(names) :]  # after warming up
    last = turns[-len(names) :]
    assert set(last) == names
    assert last != turns[-2 * len(names) : -len(names)], "the order changes"


def test_compiling_that_the_budget_has_no_room_for_is_left_out_and_the_rest_measured(clock):
    found = cuda.session(FOLDERS, SHAPE, Device(clock), seconds=4)["models"]["teacher"]["batches"]["1"]["fp32"]
    assert found["compiled"] == {"reason": cuda.NO_TIME}
    assert found["graph"]["ms"] == pytest.approx(1)


def test_it_learns_how_long_compiling_takes(clock):
    device = Device(clock, compiling=60.0)
    found = cuda.session(FOLDERS, SHAPE, device, seconds=150)["models"]
    compiled = [name for name in device.made if name[1] == "compiled"]
    assert compiled == [(1, "compiled", "fp32", "teacher"), (64, "compiled", "fp32", "teacher")]
    assert found["student"]["batches"]["1"]["fp32"]["compiled"] == {"reason": cuda.NO_TIME}


def test_what_cannot_be_made_ready_is_told_in_one_line(clock):
    found = cuda.session(FOLDERS, SHAPE, Device(clock, broken=("compiled", "graph")), seconds=100)
    modes = found["models"]["student"]["batches"]["64"]["bf16"]
    assert modes["compiled"] == modes["graph"] == {"reason": "RuntimeError: no compiler is installed"}
    assert modes["eager"]["ms"] == pytest.approx(4)


def test_whoever_is_asked_can_end_it(clock):
    class Enough(Exception):
        pass

    def heard():
        if clock.now > 0.05:
            raise Enough

    with pytest.raises(Enough):
        cuda.session(FOLDERS, SHAPE, Device(clock), seconds=100, heard=heard)


def network(width, seed=0):
    torch.manual_seed(seed)
    options = registry.validate("architecture", {"architecture": "cnn", "width": width})
    return models.create(options, 10, SHAPE, [0.3], [0.4]).eval().requires_grad_(False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("mode", cuda.MODES)
@pytest.mark.parametrize("precision", cuda.PRECISIONS)
def test_every_mode_answers_as_the_processor_does(tmp_path, mode, precision):
    options = registry.validate("architecture", {"architecture": "cnn", "width": 8})
    described = models.describe(options, 10, SHAPE, [0.3], [0.4], network=network(8))
    weights.save(tmp_path, network(8), described)
    images = np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32)
    gpu = cuda.Gpu()
    call = gpu.ready(tmp_path, mode, precision, images)
    call()
    answer = call()[-1] if mode == "graph" else call()
    expected = network(8)(torch.from_numpy(images))
    torch.testing.assert_close(answer.float().cpu(), expected, atol=0.1 if precision == "bf16" else 0.01, rtol=0.1)
    assert gpu.timed(call) > 0
