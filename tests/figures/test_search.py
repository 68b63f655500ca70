"""The chart of a search, and what its title says."""

import pytest

from kdcore.figures.search import against_size, importances, view
from kdcore.figures.settings import parallel, parallel_view
from kdcore.report.quality import Quality

LIMITS = {"size_bytes": 6000, "lost": 5.0}


def trial(number, size, accuracy, **more):
    usual = {"state": "trained", "role": "quantized", "label": f"candidate {number}", "lost": 100 * (0.95 - accuracy)}
    return {"number": number, "size_bytes": size, "accuracy": accuracy, **usual, **more}


def found(*trials, best=None):
    return {"trials": list(trials), "best": best, "reference": {"accuracy": 0.95}}


FOUND = found(
    trial(0, 9000, 0.94), trial(1, 5000, 0.91), trial(2, 4000, 0.80, role="pruned"),
    trial(3, 20_000, 0, state="beyond"), best=1,
)  # fmt: skip


def test_candidates_limits_and_front():
    drawn = view(FOUND, LIMITS)
    assert [point.fits for point in drawn.points] == [False, True, False], "too large, good, lost too much"
    assert drawn.most == 6
    assert drawn.least == pytest.approx(90)
    assert [size for size, _ in drawn.front] == [4, 5, 9]
    assert drawn.best == (5, pytest.approx(91))
    assert drawn.title == "Best of 3 candidates: candidate 1, 91.0 % validation accuracy at 5.00 kB"
    names = [trace.name for trace in against_size(FOUND, LIMITS).data]
    assert names == ["Pareto front", "Limit", "Limit", "Outside the limits", "Quantized", "Best so far"]


def test_a_tolerated_loss_that_every_accuracy_meets_is_no_line():
    drawn = view(FOUND, LIMITS | {"lost": 100})
    assert drawn.least is None
    assert [trace.name for trace in against_size(FOUND, LIMITS | {"lost": 100}).data].count("Limit") == 1


def test_without_a_candidate_within_the_limits_the_title_says_so():
    assert view(found(trial(0, 9000, 0.94)), LIMITS).title == "None of 1 candidate is within the limits"


def test_the_most_important_setting_is_the_title():
    figure = importances({"student.width": 0.7, "last": 0.299, "with.low_rank": 0.001})
    assert figure.layout.title.text.startswith("Student width")
    assert list(figure.data[0].y) == ["last step", "student width"]


def test_numbers_of_many_candidates_are_not_all_written_at_an_axis():
    rows = [
        {"values": {"width": 2 + number, "last": "int8"}, "quality": Quality("validation accuracy", number / 20),
         "size_bytes": 1000 * number, "latency_ms": None}
        for number in range(1, 20)
    ]  # fmt: skip
    assert "validation accuracy" in parallel_view(rows).title
    ticks = [note.text for note in parallel(rows).layout.annotations if note.x == 0]
    assert ticks == ["3", "21"]
