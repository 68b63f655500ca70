"""Where the time goes, layer by layer."""

import pytest

from kdcore.figures.layer_times import REST, Timed, layer_times, layer_times_view

STUDENT = Timed("student", "distilled", {"stem": 1.0, "stage1": 3.0, REST: 1.0}, {"stem": 100, "stage1": 900})
ZEROS = Timed("90 % zeros", "pruned", {"stem": 1.0, "stage1": 3.1, REST: 1.0}, {"stem": 100, "stage1": 900})


def test_the_title_sets_the_slowest_layers_time_beside_its_macs():
    view = layer_times_view([STUDENT, ZEROS])
    assert view.title == "stage1 takes 60.0 % of the student's time and has 90.0 % of its MACs"
    assert view.shares == pytest.approx((0.1, 0.9, 0.0))


def test_variants_of_one_colour_are_hatched():
    bars = layer_times([STUDENT, ZEROS, ZEROS._replace(name="pruned 50 %")]).data
    assert list(bars[0].y) == [1.0, 3.0, 1.0]
    looks = [(bar.marker.color, bar.marker.pattern.shape) for bar in bars]
    assert len(set(looks)) == 3
