"""Softening by hand values, limits and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kdcore.figures.softening import TEMPERATURES, divergence, entropy, likeness, soften

LOGITS = hnp.arrays(np.float32, st.integers(2, 12), elements=st.floats(-60, 60, width=32))


def test_softens_by_hand():
    # logits 0 and ln 9 at T = 1 are odds of 1 to 9; at T = 2 the odds are their root, 1 to 3
    logits = [0.0, np.log(9.0)]
    assert soften(logits, 1) == pytest.approx([0.1, 0.9])
    assert soften(logits, 2) == pytest.approx([0.25, 0.75])


def test_softens_each_row_by_itself():
    assert soften([[0.0, 0.0], [0.0, np.log(3.0)]], 1) == pytest.approx(np.array([[0.5, 0.5], [0.25, 0.75]]))


@given(LOGITS, st.sampled_from(TEMPERATURES))
def test_sums_to_one_and_keeps_the_order(logits, temperature):
    softened = soften(logits, temperature)
    assert softened.sum() == pytest.approx(1)
    assert np.all(np.diff(softened[np.argsort(logits)]) >= 0)


def test_does_not_overflow():
    assert soften([0.0, 1e4], 0.25) == pytest.approx([0, 1])
    assert divergence([0.0, 1e4], [1e4, 0.0], 0.25) == pytest.approx(4e4)


@given(LOGITS)
def test_hotter_answers_have_more_entropy_up_to_the_uniform_one(logits):
    course = [entropy(soften(logits, temperature)) for temperature in TEMPERATURES]
    assert np.all(np.diff(course) >= -1e-9)
    assert entropy(soften(logits, 1e9)) == pytest.approx(np.log(len(logits)), abs=1e-6)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_refuses_a_temperature_that_is_not_above_zero(temperature):
    with pytest.raises(ValueError, match="above 0"):
        soften([0.0, 1.0], temperature)


def test_entropy_by_hand():
    assert entropy([1.0, 0.0]) == 0
    assert entropy([0.5, 0.25, 0.25]) == pytest.approx(1.5 * np.log(2))


def test_divergence_by_hand():
    # (1/4, 3/4) from (1/2, 1/2): 1/4 log2(1/2) + 3/4 log2(3/2)
    assert divergence([0.0, np.log(3.0)], [0.0, 0.0], 1) == pytest.approx(0.75 * np.log(1.5) - 0.25 * np.log(2))
    assert divergence([1.0, 2.0], [4.0, 5.0], 3) == pytest.approx(0, abs=1e-12)


def test_likeness_is_the_mean_answer_by_class():
    third = np.log(3.0)
    logits = [[third, 0.0, -99.0], [0.0, 0.0, -99.0], [0.0, 0.0, 0.0]]
    found = likeness(logits, [0, 0, 1], 1)
    assert found[0] == pytest.approx([(0.75 + 0.5) / 2, (0.25 + 0.5) / 2, 0])
    assert found[1] == pytest.approx([1 / 3] * 3)
    assert np.isnan(found[2]).all()


def test_temperatures_span_the_range_in_even_steps():
    ratios = np.array(TEMPERATURES[1:]) / TEMPERATURES[:-1]
    assert (TEMPERATURES[0], TEMPERATURES[-1]) == (0.25, 50)
    assert {1.0, 4.0, 16.0} <= set(TEMPERATURES)
    assert ratios.min() > 1.1
    assert ratios.max() < 1.3
