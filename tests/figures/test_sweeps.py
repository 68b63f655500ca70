"""Figures over the values of a sweep: accuracy, and the recall of a hidden class."""

from __future__ import annotations

import pytest

from kdcore.figures.recall import RecallPoint, recall, recall_view
from kdcore.figures.sweep import sweep, sweep_view
from kdcore.report.quality import Quality
from tests.figures.rows import row

PATH = "compress.0.ratio"
ROWS = [
    row("teacher", "teacher", 0.99, 400),
    row("pruned 90 %", "pruned", 0.40, 10, values={PATH: 0.9}),
    row("pruned 25 %", "pruned", 0.97, 60, values={PATH: 0.25}),
    row("pruned 50 %", "pruned", 0.95, 40, values={PATH: 0.5}),
]


def test_the_series_is_in_the_order_of_the_values():
    view = sweep_view(ROWS, PATH)
    assert view.series[0].values == (0.25, 0.5, 0.9)
    assert [score.value for score in view.series[0].scores] == [0.97, 0.95, 0.40]
    (level,) = view.levels
    assert (level.name, level.role, level.rest, level.score.value) == ("teacher", "teacher", "", 0.99)


def test_the_title_tells_how_far_it_holds():
    expected = "Pruned: 97.0 % at best, within 5 points of that up to ratio 0.5, 40.0 % at worst"
    assert sweep_view(ROWS, PATH).title == expected
    assert sweep_view(ROWS[2:], PATH).title == "Pruned: accuracy varies by less than 3 points over ratio 0.25 to 0.5"
    assert sweep_view(ROWS[:1], PATH).title == "Nothing was varied"


def test_of_a_language_model_less_is_better():
    rows = [
        row("a", "pruned", 0.5, 10, values={PATH: value}, quality=Quality("bits", bits, bits - 0.02, bits + 0.02))
        for value, bits in ((0.25, 2.0), (0.5, 2.01), (0.9, 3.5))
    ]
    view = sweep_view(rows, PATH)
    assert view.title == (
        "Pruned: 2.000 bits per character at best, within 0.05 bits per character of that up to ratio 0.5, "
        "3.500 bits per character at worst"
    )
    expected = "Pruned: bits per character vary by less than 0.011 bits per character over ratio 0.25 to 0.5"
    assert sweep_view(rows[:2], PATH).title == expected
    figure = sweep(rows, PATH)
    assert list(figure.data[0].y) == [2.0, 2.01, 3.5]
    assert figure.layout.yaxis.title.text.startswith("Bits per character")


def test_intervals_that_all_meet_make_a_flat_sweep():
    flat = [row("a", "distilled", accuracy, 10, values={PATH: value}) for value, accuracy in ((1, 0.88), (16, 0.89))]
    assert sweep_view(flat, PATH).title == "Student distilled: accuracy varies by less than 2 points over ratio 1 to 16"


def test_the_title_of_a_rise_tells_from_where_to_where():
    rising = [row("a", "distilled", accuracy, 10, values={PATH: value}) for value, accuracy in ((1, 0.88), (16, 0.95))]
    assert sweep_view(rising, PATH).title == "Student distilled: from 88.0 % at ratio 1 to 95.0 % at ratio 16"


def test_the_title_of_a_sweep_repeats_what_the_verdicts_say():
    def titled(*verdicts):
        found = zip((1, 4, 16), (0.88, 0.9, 0.95), verdicts, strict=True)
        rows = [
            row("a", "distilled", accuracy, 10, values={PATH: value}, verdict=verdict, against="student alone")
            for value, accuracy, verdict in found
        ]
        return sweep_view(rows, PATH).title.split("; ")[1]

    assert titled("INCONCLUSIVE", "INCONCLUSIVE", "SAME") == "no significant difference from the student alone"
    assert titled("WORSE", "SAME", "BEATS") == (
        "1 of 3 significantly better than the student alone, 1 of 3 significantly worse than the student alone"
    )


def test_the_title_names_two_values_whose_intervals_do_not_meet():
    wide = row("a", "distilled", 0.97, 10, values={PATH: 16}, score_low=0.7, score_high=1.0)
    known = [row("a", "distilled", score, 10, values={PATH: value}) for value, score in ((1, 0.88), (4, 0.93))]
    assert sweep_view([*known, wide], PATH).title == "Student distilled: from 88.0 % at ratio 1 to 93.0 % at ratio 4"


def test_levels_are_lines_and_points_have_intervals():
    chart = sweep(ROWS, PATH)
    level, pruned = chart.data
    assert (level.name, tuple(level.x), tuple(level.y)) == ("teacher", (0.25, 0.9), (99, 99))
    assert pruned.error_y.array == pytest.approx((1, 1, 1))
    assert (chart.layout.xaxis.title.text, chart.layout.xaxis.type) == ("Ratio", "linear")


def two_values():
    """A student distilled for 20 and 80 epochs at T = 1 and 16, and the student alone for as long."""
    for epochs, alone, cool, hot in ((20, 0.66, 0.65, 0.53), (120, 0.83, 0.82, 0.70)):
        yield row(f"student alone (epochs {epochs})", "alone", alone, 10, values={"train.epochs": epochs})
        for temperature, accuracy in ((1, cool), (16, hot)):
            values = {"train.epochs": epochs, "distill.temperature": temperature}
            yield row("student distilled", "distilled", accuracy, 10, values=values)


def test_two_swept_values_make_a_line_for_each_of_the_other():
    chart = sweep(list(two_values()), "distill.temperature")
    lines = {trace.name: (tuple(trace.y), trace.line.dash) for trace in chart.data}
    assert lines["Student distilled, epochs 20"] == ((65, 53), "dot")
    assert lines["Student distilled, epochs 120"] == ((82, 70), "solid")
    assert lines["student alone (epochs 120)"][1] == "solid"
    assert {note.text for note in chart.layout.annotations} == {"epochs 20", "epochs 120"}
    assert not any(trace.showlegend for trace in chart.data if trace.name.startswith("Student distilled"))
    assert chart.layout.title.text == (
        "Student distilled: at epochs 20 from 65.0 % (temperature 1) to 53.0 % (16); "
        "at epochs 120 from 82.0 % (temperature 1) to 70.0 % (16)"
    )


def test_a_wide_range_has_a_log_scale():
    wide = [row("a", "distilled", 0.9, 10, values={PATH: value}) for value in (1, 16)]
    axis = sweep(wide, PATH).layout.xaxis
    assert (axis.type, tuple(axis.tickvals)) == ("log", (1, 16))


SEEN = [RecallPoint(1, 0.0, 0.6), RecallPoint(1, 0.02, 0.64), RecallPoint(16, 0.3, 0.9), RecallPoint(16, 0.2, 0.94)]


def test_recall_is_the_mean_over_the_seeds():
    view = recall_view(SEEN, "3")
    assert view.temperatures == (1, 16)
    assert view.raw == pytest.approx((1, 25))
    assert view.corrected == pytest.approx((62, 92))
    assert view.title == "Never shown a 3, the student recognises 1.0 % of them at T = 1 and 25.0 % at T = 16"


def test_recall_draws_the_seeds_behind_the_means():
    chart = recall(SEEN, "3")
    assert [len(trace.x) for trace in chart.data] == [2, 4, 2, 4]
    assert chart.layout.xaxis.type == "log"
    assert recall_view([], "3").title == "No student with a hidden class yet"
