"""Where the time goes, layer by layer."""

import pytest

from kdcore.figures.layer_times import REST, Timed, layer_times, layer_times_view, profile, profile_view, timed

LAYERS = [
    {"name": "stem", "macs": 100, "shape": [4, 1, 3, 3], "bits": 32},
    {"name": "stage1", "macs": 900, "shape": [8, 4, 3, 3], "bits": 8, "sqnr_db": 21.5},
]
STUDENT = Timed("student", "distilled", {"stem": 1.0, "stage1": 3.0, REST: 1.0}, LAYERS)
ZEROS = Timed("90 % zeros", "pruned", {"stem": 1.0, "stage1": 3.1, REST: 1.0}, LAYERS)


def test_the_title_sets_the_slowest_layers_time_beside_its_macs():
    view = layer_times_view([STUDENT, ZEROS])
    assert view.title == "stage1 takes 60.0 % of the time of student and has 90.0 % of its MACs"
    assert view.shares == pytest.approx((0.1, 0.9, 0.0))


def test_variants_of_one_colour_are_hatched():
    bars = layer_times([STUDENT, ZEROS, ZEROS._replace(name="pruned 50 %")]).data
    assert list(bars[0].y) == [1.0, 3.0, 1.0]
    looks = [(bar.marker.color, bar.marker.pattern.shape) for bar in bars]
    assert len(set(looks)) == 3


def test_kernels_are_added_up_by_layer_and_those_without_weights_together():
    one = timed("student", "distilled", [("stem", 1.0), (None, 0.25), ("stem", 0.5), (None, 2.0)], LAYERS)
    assert one.ms == {"stem": 1.5, REST: 2.25}
    assert profile_view([one]).title == "What has no weights takes 60.0 % of the time of student, without any MACs"


def test_a_profile_has_a_panel_for_each_quantity_that_is_known():
    view = profile_view([STUDENT, ZEROS])
    assert view.layers == ("stem", "stage1", REST)
    assert [panel.values[0] for panel in view.panels] == [
        (1.0, 3.0, 1.0), (100, 900, None), (144.0, 288.0, None), (None, 21.5, None),
    ]  # fmt: skip
    assert view.panels[1].hovers[1][1] == "90 % zeros, stage1: 900 MACs per example, 90.0 % of its MACs"
    plain = [{**layer, "sqnr_db": None} for layer in LAYERS]
    assert len(profile_view([STUDENT._replace(layers=plain)]).panels) == 3
    assert len(profile([STUDENT, ZEROS]).data) == 8
