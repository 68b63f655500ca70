"""Two processes that train together come to the weights of one, up to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from kdcore.paths import CHECKOUT
from kdcore.train.team import Team
from tests.jobs.conftest import until
from tests.train.conftest import same
from tests.train.together import STOPPED, TOGETHER, trained


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folder of what two processes have trained together."""
    folder = tmp_path_factory.mktemp("together")
    command = [sys.executable, "-m", "tests.train.together"]
    pair = [subprocess.Popen([*command, str(rank), str(folder)], cwd=CHECKOUT, env=os.environ) for rank in (0, 1)]
    try:
        until(lambda: None not in [one.poll() for one in pair], sign=lambda: sorted(folder.iterdir()))
        assert [one.returncode for one in pair] == [0, 0]
    finally:
        for one in pair:
            one.kill()
    return folder


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", TOGETHER)
def test_two_processes_come_to_the_weights_of_one(both, tmp_path, name):
    alone, first, second = trained(name, tmp_path), *(load_file(both / f"{name}.{rank}.safetensors") for rank in (0, 1))
    assert same(first, second)
    for part, value in alone.items():
        torch.testing.assert_close(
            first[part], value, rtol=1e-3, atol=1e-3, msg=lambda why, part=part: f"{part}: {why}"
        )
    rows, expected = history(both / name), history(tmp_path)
    assert len(rows) == len(expected)
    for row, other in zip(rows, expected, strict=True):
        for number in ("loss", "val_loss", "accuracy", "val_accuracy"):
            assert row[number] == pytest.approx(other[number], rel=1e-3, abs=1e-4)


def test_stopped_and_resumed_they_end_with_the_same_bits(both):
    whole, torn = (load_file(both / f"{name}.0.safetensors") for name in (STOPPED, "torn"))
    assert same(whole, torn)


def test_a_batch_is_divided_into_parts_that_differ_by_one_at_most():
    parts = [Team(rank, 3, torch.device("cpu"))._share(17) for rank in range(3)]
    assert [(part.start, part.stop) for part in parts] == [(0, 5), (5, 11), (11, 17)]
    with pytest.raises(ValueError, match="3 devices"):
        Team(0, 3, torch.device("cpu"))._share(2)
