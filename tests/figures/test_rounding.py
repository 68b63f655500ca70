"""A layer's weights before and after rounding."""

import numpy as np

from kdcore.figures.rounding import Rounded, rounding


def test_both_histograms_count_every_weight_and_the_title_tells_what_was_lost():
    weights = np.array([-1.0, -0.2, 0.3, 1.0])
    chart = rounding(Rounded(weights, np.round(weights), 9.5, 0.98, 0.9, 120))
    before, after = chart.data
    assert np.nansum(before.y) == np.nansum(after.y) == 4
    for told in ("3 values", "9.5 dB", "98.0 %", "90.0 %"):
        assert told in chart.layout.title.text
