from __future__ import annotations

import pytest

from kdcore.figures import style
from kdcore.figures.frontier import against_latency, against_size, latency_view, size_view
from kdcore.figures.points import Baseline, Terms
from kdcore.report.comparison import Difference
from kdcore.report.limits import Limits
from kdcore.report.quality import Quality
from kdcore.report.sessions import Speed
from tests.figures.rows import quickstart, row


def test_the_front_is_what_nothing_beats_on_both_counts():
    view = size_view(quickstart())
    assert [point.name for point in view.front] == ["int8", "pruned 25 %", "student distilled", "teacher"]


def test_the_front_drops_a_costlier_equal():
    view = size_view([row("a", "pruned", 0.9, 10), row("b", "pruned", 0.9, 20)])
    assert [point.name for point in view.front] == ["a"]


def test_the_title_tells_the_smallest_that_is_near_its_teacher():
    assert (
        size_view(quickstart()).title == "Int8 is 20× smaller than its teacher, 2.5 points below it (intervals overlap)"
    )


def written(name: str, role: str, bits: float, size: int, **more):
    return row(name, role, 0.5, size, quality=Quality("bits", bits, bits - 0.03, bits + 0.03), **more)


def test_language_models_are_drawn_by_their_bits_of_which_less_is_better():
    rows = [
        written("teacher", "teacher", 2.3, 400_000),
        written("student alone", "alone", 2.9, 100_000),
        written("student distilled", "distilled", 2.5, 100_000),
        written("int8", "quantized", 2.51, 40_000),
    ]
    view = size_view(rows)
    assert [point.name for point in view.front] == ["int8", "student distilled", "teacher"]
    assert view.title == "Student distilled is 4.0× smaller than its teacher, with 0.200 more bits per character"
    figure = against_size(rows, Terms(None, Baseline(rows[0], ()), Limits(points=0.4)))
    assert figure.layout.yaxis.title.text == "Bits per character (less is better)"
    drawn = {
        name: y
        for trace in figure.data
        if trace.customdata
        for (_, name), y in zip(trace.customdata, trace.y, strict=True)
    }
    assert drawn == {"teacher": 2.3, "student alone": 2.9, "student distilled": 2.5, "int8": 2.51}
    assert "2.300 bits per character (2.270 to 2.330)" in " ".join(str(trace.hovertext) for trace in figure.data)
    (limit,) = [trace for trace in figure.data if trace.name == "Limit"]
    assert list(limit.y) == pytest.approx([2.7, 2.7])
    outside = [trace for trace in figure.data if trace.name == "Outside the limits"]
    assert [name for trace in outside for _, name in trace.customdata] == ["student alone"]


def test_the_title_follows_the_baseline():
    rows = quickstart()
    found = [Difference("r1", row["variant"], None, None, None, Speed(0.5, 0.4, 0.6, True)) for row in rows]
    alone = Baseline(rows[1], found)
    assert (
        size_view(rows, Terms(None, alone)).title == "Int8 is 5.0× smaller than the student alone, 10.5 points above it"
    )
    assert latency_view(rows, 1, Terms(None, alone)).title.startswith(
        "Int8 was not timed together with the student alone"
    )
    expected = "Int8 has 0.50× the throughput of the student alone (batch 64), 10.5 points above it"
    assert latency_view(rows, 64, Terms(None, alone)).title == expected
    assert size_view(rows, Terms(None, Baseline(rows[-1], found))).title.startswith(
        "Pruned 25 % is 3.0× larger than int8"
    )


def test_the_title_passes_over_what_is_broken():
    rows = [*quickstart(), row("pruned 90 %", "pruned", 0.4, 5_000)]
    assert size_view(rows).title.startswith("Int8 is 20× smaller")


def test_the_latency_title_uses_the_sessions_ratio_and_says_when_there_is_none():
    rows = quickstart()
    expected = "Int8 has 5.0× the throughput of its teacher (batch 64), 2.5 points below it (intervals overlap)"
    assert latency_view(rows, 64).title == expected
    rows[-1]["throughput_differs"] = False
    assert latency_view(rows, 64).title.startswith("Int8 has no measurably higher throughput than its teacher")


def test_time_an_image_comes_from_the_right_batch():
    one, many = (latency_view(quickstart(), batch).points[0].x for batch in (1, 64))
    assert one == pytest.approx(0.4)
    assert many == pytest.approx(1000 / (1e9 / 400_000))


def test_refuses_rows_of_several_sessions():
    with pytest.raises(ValueError, match="several sessions"):
        latency_view([row("a", "teacher", 0.9, 10), row("b", "pruned", 0.9, 5, session="s2")])


def test_rows_that_were_not_timed_are_left_out():
    rows = [*quickstart(), row("c", "pruned", 0.9, 5, latency_ms=None, images_per_s=None)]
    assert "c" not in [point.name for point in latency_view(rows, 1).points]
    assert "c" not in [point.name for point in latency_view(rows, 64).points]


def test_the_hover_reads_as_a_sentence():
    assert size_view(quickstart()).points[-1].sentence == ("int8: test accuracy 96.5 % (94.5 to 97.5), 20 kB")


@pytest.mark.parametrize("draw", [against_size, against_latency])
def test_the_figure_has_log_axis_intervals_and_the_roles_looks(draw):
    chart = draw(quickstart())
    assert chart.layout.xaxis.type == "log"
    teacher = next(trace for trace in chart.data if trace.name == "Teacher")
    assert (teacher.marker.symbol, teacher.marker.color) == ("star", style.ROLES["teacher"].colour)
    assert teacher.error_y.array == pytest.approx((1.0,))
    assert teacher.error_y.arrayminus == pytest.approx((2.0,))
    assert teacher.customdata[0] == ["r1", "teacher"] or list(teacher.customdata[0]) == ["r1", "teacher"]


def test_runs_that_meet_carry_letters_which_the_legend_explains():
    rows = [row("a", "pruned", 0.9, 10), row("a", "pruned", 0.8, 12, run="r2")]
    chart = against_size(rows, Terms({"r1": "First", "r2": "Second"}))
    assert next(trace for trace in chart.data if trace.name == "Pruned").text == ("A", "B")
    assert {"A: First", "B: Second"} <= {trace.name for trace in chart.data}
    assert chart.layout.showlegend


def test_marks_of_one_size_stand_side_by_side_and_the_best_at_its_own():
    column = [row(f"T {score}", "distilled", score, 20) for score in (0.9, 0.95, 0.8)]
    chart = against_size([row("teacher", "teacher", 0.99, 400), *column])
    drawn = next(trace for trace in chart.data if trace.name == "Student distilled").x
    assert len(set(drawn)) == 3
    assert drawn[1] == 0.02
    assert max(drawn) < 0.04, "far from the next size"
    assert "side by side" in chart.layout.xaxis.title.text
    assert "side by side" not in against_size(column[:1]).layout.xaxis.title.text


def test_limits_are_lines_and_what_does_not_fit_is_grey():
    rows = quickstart()
    terms = Terms(None, Baseline(rows[0], []), Limits(size_bytes=70_000, points=2.2))
    chart = against_size(rows, terms)
    assert chart.layout.title.text.startswith("Pruned 25 % is 6.7× smaller")
    upright, level = (trace for trace in chart.data if trace.name == "Limit")
    assert set(upright.x) == {70}
    assert level.y == pytest.approx((96.8, 96.8))
    pruned = next(trace for trace in chart.data if trace.name == "Pruned")
    outside = [trace for trace in chart.data if trace.name == "Outside the limits"]
    assert pruned.marker.color == style.ROLES["pruned"].colour
    assert {name for trace in outside for _, name in trace.customdata} == {
        row["variant"] for row in rows if row["variant"] != "pruned 25 %"
    }
    assert all(trace.opacity < 1 for trace in outside)
    assert sum(trace.showlegend is not False for trace in outside) == 1
    none = Terms(None, Baseline(rows[0], []), Limits(size_bytes=10))
    assert size_view(rows, none).title == "No variant is within the limits"


def test_a_click_does_not_fade_the_others():
    marks = [trace for trace in against_size(quickstart()).data if trace.mode == "markers"]
    assert all(trace.unselected.marker.opacity == 1 for trace in marks)


def test_runs_that_meet_are_named():
    rows = [
        row("teacher", "teacher", 0.99, 400),
        row("int8", "quantized", 0.98, 10),
        row("a", "pruned", 0.8, 12, run="r2"),
    ]
    view = size_view(rows, Terms({"r1": "First", "r2": "Second"}))
    assert view.title.startswith("Int8 of First is 40× smaller")
    assert [point.sentence.split(":")[0] for point in view.points] == ["First, teacher", "First, int8", "Second, a"]


def test_without_small_models_it_says_so():
    assert size_view(quickstart()[:1]).title == "No other variant is on the Pareto front"


def test_images_with_several_labels_are_told_by_their_mean_average_precision():
    rows = [
        row("teacher", "teacher", 0.7, 400_000, measure="mAP", score=0.97, score_low=0.96, score_high=0.98),
        row("student", "distilled", 0.5, 100_000, measure="mAP", score=0.94, score_low=0.92, score_high=0.95),
    ]
    chart = against_size(rows)
    assert chart.layout.yaxis.title.text == "Mean average precision (mAP, %)"
    assert "3.0 points of mAP below it" in chart.layout.title.text
    assert size_view(rows).points[1].sentence == "student: mAP 94.0 % (92.0 to 95.0), 100 kB"
    mixed = against_size([*rows, row("other", "teacher", 0.9, 10_000, run="r2")])
    assert mixed.layout.yaxis.title.text == "Test accuracy or mAP (%)"
