"""Lesson 5."""

import pytest

from kdcore.lessons.course.prune_until_it_breaks import ANY_WEIGHTS, DEEP, FILTERS, WEIGHTS, _row


@pytest.mark.slow
def test_it_holds_and_then_breaks_and_zeros_save_no_byte(taught):
    _, found, answer = taught("prune-until-it-breaks")
    whole = found.row("student distilled")
    assert 100 * whole["accuracy"] - answer.value[0] < 3
    assert answer.high[-1] < 60
    filters, weights, anyhow = (_row(found, chain) for chain in (FILTERS[DEEP], WEIGHTS, ANY_WEIGHTS))
    assert found.between(weights["variant"], filters["variant"]).low > 0
    assert found.between(weights["variant"], anyhow["variant"]).low > 0
    assert weights["size_bytes"] == whole["size_bytes"] > 5 * filters["size_bytes"]
    assert found.faster(filters["variant"], "student distilled").low > 1.3
    assert found.faster(weights["variant"], "student distilled").high < 1.3
