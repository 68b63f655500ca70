"""Limits on what a variant may cost, and the best within them."""

from __future__ import annotations

import pytest

from kdcore.report.limits import Limits, best, fits, sentence
from kdcore.report.quality import Quality
from tests.figures.rows import quickstart, row

ROWS = quickstart()


def test_the_most_accurate_that_fits_is_the_best_and_of_equals_the_smaller():
    assert best(ROWS, Limits(size_bytes=60_000), ROWS[0])["variant"] == "pruned 25 %"
    assert best(ROWS, Limits(size_bytes=60_000, milliseconds=0.03, batch=64), ROWS[0])["variant"] == "int8"
    assert best(ROWS, Limits(points=0.5), ROWS[0])["variant"] == "teacher"
    assert best([row("a", "pruned", 0.9, 20), row("b", "pruned", 0.9, 10)], Limits(), ROWS[0])["variant"] == "b"
    assert best(ROWS, Limits(size_bytes=100), ROWS[0]) is None


@pytest.mark.parametrize(("batch", "most"), [(1, 0.02), (64, 20_000 / 1e6)])
def test_a_limit_is_included_and_is_of_its_batch_size(batch, most):
    at = Limits(milliseconds=most, batch=batch)
    assert fits(ROWS[-1], at, ROWS[0])
    assert not fits(ROWS[-1], at._replace(milliseconds=0.9 * most), ROWS[0])


def test_what_was_not_measured_or_measures_something_else_is_within_no_limit():
    untimed = row("a", "pruned", 0.9, 10, latency_ms=None, images_per_s=None)
    assert not fits(untimed, Limits(milliseconds=1e9), ROWS[0])
    assert fits(untimed, Limits(size_bytes=10), ROWS[0])
    assert not fits(row("a", "pruned", 0.9, 10, measure="mAP"), Limits(points=100), ROWS[0])


def test_of_language_models_the_limit_is_in_bits():
    rows = [
        row(name, "pruned", 0.5, 10, quality=Quality("bits", bits)) for name, bits in (("teacher", 2.3), ("a", 2.5))
    ]
    assert fits(rows[1], Limits(points=0.25), rows[0])
    assert not fits(rows[1], Limits(points=0.15), rows[0])
    assert best(rows, Limits(), rows[0])["variant"] == "teacher"
    told = sentence(rows, Limits(points=0.25), rows[0])
    assert "at most 0.25 bits per character above the teacher" in told
    assert "teacher, 2.300 bits per character" in told


def test_the_sentence_names_the_limits_the_best_and_its_costs():
    told = sentence(ROWS, Limits(size_bytes=60_000, points=5), ROWS[0])
    assert told == (
        "2 of 6 within the limits (at most 60 kB, at most 5 points below the teacher). The most accurate of them: "
        "pruned 25 %, test accuracy 97.0 %, 60 kB, 0.06 ms per example at batch 64."
    )
    assert sentence(ROWS, Limits(size_bytes=100), ROWS[0]) == "No variant is within the limits (at most 100 B)."
    assert "pruned 25 % of First" in sentence(ROWS, Limits(size_bytes=60_000), ROWS[0], {"r1": "First"})
