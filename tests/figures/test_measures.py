"""Any two measures against each other."""

from __future__ import annotations

import pytest
from scipy import stats

from kdcore.figures.measures import MEASURES, against, pair_view, present
from kdcore.report.comparison import COLUMNS
from tests.figures.rows import quickstart

UNKNOWN = dict.fromkeys(MEASURES)
ROWS = [UNKNOWN | row | {"params": row["size_bytes"] // 4} for row in quickstart()]


def test_measures_are_columns_and_those_that_say_nothing_are_not_offered():
    assert MEASURES.keys() <= set(COLUMNS)
    assert present(ROWS) == ["accuracy", "size_bytes", "latency_ms", "images_per_s", "params"]
    assert present(ROWS[:1]) == []


def test_the_title_has_the_rank_correlation():
    found = stats.spearmanr([row["size_bytes"] for row in ROWS], [row["accuracy"] for row in ROWS]).statistic
    assert pair_view(ROWS, "params", "accuracy").title == (
        f"Test accuracy hardly depends on parameters (rank correlation {found:+.2f}, 6 variants)"
    )
    assert pair_view(ROWS, "images_per_s", "latency_ms").title.startswith(
        "Latency, batch 1 falls with throughput, batch 64"
    )
    assert pair_view(ROWS[:2], "params", "accuracy").title == "Test accuracy against parameters"


def test_wide_ranges_have_a_log_scale_and_accuracy_its_interval():
    chart = against(ROWS, "size_bytes", "accuracy", outside=ROWS[1:2])
    assert (chart.layout.xaxis.type, chart.layout.yaxis.type) == ("log", None)
    teacher = next(trace for trace in chart.data if trace.name == "Teacher")
    assert teacher.x == (400,)
    assert teacher.error_y.arrayminus == pytest.approx((2,))
    assert teacher.hovertext == ("teacher: 400, 99.0",)
    named = against(ROWS, "size_bytes", "accuracy", runs={"r1": "First"})
    assert named.data[0].hovertext == ("First, teacher: 400, 99.0",)
    assert [trace.customdata[0][1] for trace in chart.data if trace.name == "Outside the limits"] == ["student alone"]
