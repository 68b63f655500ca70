"""Which candidate wins, and what is said where none fits."""

import pytest

from kdcore.search.judging import counted, front, nearest, ranked, sentence, shortfall
from kdcore.search.request import parse
from tests.search.conftest import document


def row(label, size, accuracy, lost=0.0, state="trained", **more):
    return {"label": label, "size_bytes": size, "accuracy": accuracy, "lost": lost, "state": state, **more}


ROWS = [
    row("large", 12_000, 0.95),
    row("small", 5000, 0.90),
    row("same, smaller", 4800, 0.90),
    row("too bad", 2000, 0.60, lost=30.0),
    row("never trained", 100, 0.0, state="beyond"),
]


def test_the_most_accurate_within_the_limits_wins_and_of_equals_the_smallest():
    search = parse(document(lose_at_most=5))
    assert [one["label"] for one in ranked(ROWS, search)] == ["same, smaller", "small"]
    assert sentence(ROWS, search).startswith("same, smaller: 90")


def test_the_smallest_wins_where_size_is_to_be_best():
    search = parse(document(lose_at_most=40, best="size"))
    assert ranked(ROWS, search)[0]["label"] == "too bad"


def test_where_the_coded_file_counts_its_size_is_told():
    search = parse(document(at_most={"coded_bytes": 2000}))
    rows = [row("whole", 9000, 0.9, coded_bytes=1500), row("larger", 8000, 0.95, coded_bytes=2500)]
    assert sentence(rows, search) == "whole: 90.0 % on validation examples, 1.50 kB coded."


def test_where_throughput_is_limited_the_time_per_image_is_told():
    search = parse(document(at_most={"batch_ms": 0.5}, timing_seconds=1, lose_at_most=None))
    rows = [row("quick", 9000, 0.9, batch_ms=0.25), row("slow", 8000, 0.95, batch_ms=0.8)]
    assert sentence(rows, search) == "quick: 90.0 % on validation examples, 9.00 kB, 0.25 ms per example at batch 64."
    assert shortfall(rows[1], search.limits).startswith("time per example at batch 64 0.8 ms")


def test_what_was_not_measured_is_not_within_its_limit():
    search = parse(document(at_most={"latency_ms": 1}, timing_seconds=1, lose_at_most=None))
    assert not ranked(ROWS, search)
    assert ranked([row("timed", 1, 0.5, latency_ms=0.9)], search)


def test_where_none_fits_the_nearest_is_named_and_how_far_off_it_is():
    search = parse(document(at_most={"size_bytes": 4000}, lose_at_most=1))
    assert nearest(ROWS, search)["label"] == "same, smaller"
    said = sentence(ROWS, search)
    assert said.startswith("No candidate is within the limits")
    assert "same, smaller: size 4.80 kB, 800 B (20 %) over the limit of 4.00 kB" in said
    assert shortfall(row("a", 4000, 0.9, lost=3.0), search.limits) == (
        "loss of accuracy 3 points, 2 points over the limit of 1 point"
    )


@pytest.mark.parametrize("rows", [[], ROWS[-1:]])
def test_without_a_trained_candidate_that_is_said(rows):
    assert sentence(rows, parse(document())) == "No candidate could be trained."


def test_the_front_has_no_candidate_that_another_beats():
    assert [one["label"] for one in front(ROWS)] == ["too bad", "same, smaller", "large"]


def test_as_many_candidates_as_were_asked_for_are_not_said_to_be_so_many_of_fewer():
    found = {"trials": [row("a", 1, 0.5), row("b", 2, 0.6), row("c", 3, 0.1, state="stopped")]}
    assert counted(found, of=5).startswith("2 of 5 candidates trained, 1 stopped early")
    assert counted(found, of=3).startswith("2 candidates trained")
    assert counted(found, of=2).startswith("2 candidates trained")
