import numpy as np
import pytest
import torch

from benchmarks import compression, compression_speed, compression_task
from kdcore import registry
from kdcore.compress.tools.masks import picked
from kdcore.compress.traits import StepTraits
from kdcore.recipe import points
from kdcore.report.reading import Model


def session(seconds):
    """A timing session in which each variant took the given milliseconds in every round."""

    def timed(value):
        return {"wall_ms": value, "wall_p90_ms": value, "cpu_ms": value, "rounds_cpu_ms": [value] * 5}

    batches = {"1", "64"}
    return {
        "reference": compression_speed.WHOLE,
        "models": {name: {"batches": dict.fromkeys(batches, timed(value))} for name, value in seconds.items()},
        "aa": dict.fromkeys(batches, timed(seconds[compression_speed.WHOLE])),
        "contention": {"1": 1.0},
        "protocol": {"rounds": {"1": 5}, "loads": 2},
    }


@pytest.fixture
def speeds():
    milliseconds = dict.fromkeys(compression_speed.VARIANTS, 12.0) | {"static int8": 4.0, "structured 50 %": 6.0}
    sizes = {name: {"size_bytes": 4000, "zip_bytes": 3000, "macs": 100} for name in milliseconds} | {
        "static int8": {"size_bytes": 1000, "zip_bytes": 900, "macs": 100}
    }
    return {"sizes": sizes, "sessions": {"alone": session(milliseconds), "beside": session(milliseconds)}}


def test_a_speed_aim_is_told_as_met_or_missed_and_what_gains_nothing_says_why(speeds):
    told = compression_speed.report("resnet18", speeds)
    lines = {line.split(" | ")[0].strip("| "): line for line in told.splitlines() if line.startswith("|")}
    assert "3.00 (3.00 to 3.00)" in lines["static int8"]
    assert "3x faster: met, 3.9x smaller: met" in lines["static int8"]
    assert "3.3x faster: **missed**" in lines["structured 50 %"]
    assert "1.00 (1.00 to 1.00): no difference" in lines["90 % zeros"]
    zeros = registry.validate("step", compression_speed.ZEROS)
    assert f"- 90 % zeros: {StepTraits.of(zeros).why}" in told
    assert "A/A band as the machine was: 1.000 to 1.000, within ±3 %" in told


def test_rounds_of_several_loads_are_taken_together():
    parts = [{"wall_ms": value, "rounds_cpu_ms": [value, value + 1]} for value in (1.0, 5.0, 3.0)]
    assert compression_speed.together(parts) == {"wall_ms": 3.0, "rounds_cpu_ms": [1.0, 2.0, 5.0, 6.0, 3.0, 4.0]}


def test_only_what_was_measured_whole_is_told_where_there_is_both(speeds):
    def kept(name):
        return {"size": {"name": name}, "date": f"of {name}", "machine": "here", "found": speeds}

    both = compression.report({"resnet18": {"quick": kept("quick"), "full": kept("full")}})
    assert "of full" in both
    assert "of quick" not in both
    assert "Cut down" in compression.report({"resnet18": {"quick": kept("quick")}})


def test_further_training_prunes_no_weight():
    step = registry.validate("step", compression_task.further(compression_task.FULL, 2, 0.001))
    masks = picked({"layer": torch.rand(1000, 1000)}, step.ratio, step.scope)
    assert masks["layer"].all()
    assert step.finetune.steps > 0


def test_paired_differences_are_over_the_same_images():
    true = np.array([0, 1, 2, 3])
    mine, other = np.array([0, 1, 2, 0]), np.array([0, 2, 1, 3])
    assert compression_task.paired(mine, other, true).value == pytest.approx((2 - 1) / 4)


@pytest.mark.parametrize("size", [compression_task.QUICK, compression_task.FULL, compression_task.CUDA])
def test_every_branch_is_a_point_of_one_recipe_behind_the_same_student(size):
    branches = [[{"step": "int8"}], [compression_task.further(size, 1, 0.001), {"step": "half"}]]
    made = [point.recipe for point in points(compression_task.recipe(size, "two", branches))]
    assert [len(one.compress) for one in made] == [1, 2]
    assert made[0].train == made[1].train
    assert made[0].data.source.classes == size.classes


def test_the_share_of_zeros_is_the_best_on_validation_of_those_small_enough():
    choices = [
        {"zeros": 0.80, "smaller": 18.0, "validation": 0.9},
        {"zeros": 0.85, "smaller": 22.0, "validation": 0.8},
        {"zeros": 0.90, "smaller": 30.0, "validation": 0.7},
    ]
    assert compression_task.chosen_zeros(choices) == 0.85
    assert compression_task.chosen_zeros(choices[:1]) == 0.80


def test_a_difference_over_seeds_is_each_images_mean():
    def row(*answers):
        return compression_task.Row([Model("", {}, {}, {}, 0.0, np.array(one), {}) for one in answers])

    true = np.array([0, 1, 2, 3])
    mine, other = row([0, 1, 2, 3], [0, 1, 2, 0]), row([0, 1, 0, 0], [0, 1, 2, 0])
    difference = compression_task.paired_rows(mine, other, true)
    assert difference.value == pytest.approx((0 + 0 + 0.5 + 0.5) / 4)  # by hand, image by image
    assert difference.low < difference.value < difference.high
