"""Accuracy, size and latency in one chart."""

from __future__ import annotations

import pytest

from kdcore.figures import style
from kdcore.figures.cloud import bubbles, cloud_view, space
from tests.figures.rows import quickstart, row


def _sized(trace):
    return zip(trace.customdata, trace.marker.size, strict=True)


def test_the_area_of_a_bubble_is_its_latency():
    chart = bubbles(quickstart(), 64)
    sizes = {name: size for trace in chart.data for (_, name), size in _sized(trace)}
    assert sizes["teacher"] == pytest.approx(20 * sizes["int8"])
    assert all(trace.marker.sizemode == "area" for trace in chart.data)
    assert "batch size 64" in chart.layout.xaxis.title.text


def test_the_title_names_both_gains():
    assert cloud_view(quickstart(), 64).title == (
        "Int8 is 20× smaller than its teacher, 5.0× as fast (batch 64), 2.5 points below it (intervals overlap)"
    )


def test_best_is_what_nothing_beats_in_all_three():
    rows = [*quickstart(), row("slow", "pruned", 0.96, 20_000, images_per_s=1.0)]
    assert "slow" not in {name for _, name in cloud_view(rows, 64).best}
    assert {"teacher", "int8"} <= {name for _, name in cloud_view(rows, 64).best}


def test_in_space_each_variant_has_its_place_and_a_stalk():
    chart = space(quickstart(), 1)
    marks = [trace for trace in chart.data if trace.mode != "lines"]
    assert len(chart.data) - len(marks) == len(quickstart())
    teacher = next(trace for trace in marks if trace.name == "Teacher")
    assert (*teacher.x, *teacher.y, *teacher.z) == (400, 0.4, 99)
    assert teacher.marker.color == style.ROLES["teacher"].colour
    assert chart.layout.scene.xaxis.type == chart.layout.scene.yaxis.type == "log"
