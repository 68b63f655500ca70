from __future__ import annotations

import numpy as np
import pytest

from kdcore.figures.curves import curves, curves_view, smooth


def series(variant: str, role: str, seed: int, accuracy: list[float | None]) -> dict:
    steps = list(range(10, 10 * len(accuracy) + 10, 10))
    return {"variant": variant, "role": role, "seed": seed, "step": steps, "val_accuracy": accuracy, "loss": accuracy}


def test_the_mean_goes_as_far_as_all_seeds_have_come():
    view = curves_view([series("a", "alone", 0, [0.2, 0.4, 0.6]), series("a", "alone", 1, [0.4, 0.6])], "val_accuracy")
    mean = view.lines[-1]
    assert (mean.seed, list(mean.steps)) == (None, [10, 20])
    assert mean.values == pytest.approx([30, 50])
    assert [line.seed for line in view.lines] == [0, 1, None]


def test_one_seed_is_drawn_once():
    view = curves_view([series("teacher", "teacher", 0, [0.5])], "val_accuracy")
    assert [line.seed for line in view.lines] == [None]


def test_values_that_are_not_there_are_left_out():
    view = curves_view([series("a", "alone", 0, [0.5, None, 0.7])], "val_accuracy")
    assert list(view.lines[0].steps) == [10, 30]


def test_the_title_tells_where_teacher_and_students_stand():
    found = [series("teacher", "teacher", 0, [0.5, 0.9]), series("student alone", "alone", 0, [0.4])]
    expected = "Validation accuracy: teacher 90.0 %, student alone 40.0 %"
    assert curves_view(found, "val_accuracy").title == expected
    assert curves_view(found, "loss").title == "Training loss: teacher 0.9, student alone 0.4"
    assert curves_view([], "loss").title == "No training yet"


def test_bits_a_character_are_the_validation_loss_to_the_base_of_two():
    found = [series("teacher", "teacher", 0, [None]) | {"step": [1, 2], "val_loss": [np.log(8), np.log(4)]}]
    view = curves_view(found, "val_bits")
    assert list(view.lines[0].values) == pytest.approx([3, 2])
    assert (view.title, view.y_title) == (
        "Validation bits per character: teacher 2.000", "Validation bits per character",
    )  # fmt: skip


def test_of_a_sweep_the_title_tells_the_best_one():
    found = [series(f"T {t}", "distilled", 0, [end]) for t, end in ((1, 0.7), (4, 0.9), (16, 0.8))]
    assert curves_view(found, "val_accuracy").title == "Validation accuracy: best of 3: T 4 90.0 %"
    assert curves_view(found, "loss").title == "Training loss: best of 3: T 1 0.7"


def test_the_title_says_that_validation_lacks_a_hidden_class():
    found = [series("student alone", "alone", 0, [0.9])]
    told = curves_view(found, "val_accuracy", hidden=["3"]).title
    assert told == "Validation accuracy (the students’ without class 3): student alone 90.0 %"
    assert "without" not in curves_view(found, "loss", hidden=["3"]).title


def test_smoothing_keeps_a_constant_and_begins_at_the_first_value():
    assert smooth([3.0, 3.0, 3.0], 0.9) == pytest.approx([3, 3, 3])
    noisy = np.random.default_rng(0).normal(size=200)
    assert smooth(noisy, 0.9)[0] == noisy[0]
    assert smooth(noisy, 0.9).std() < 0.5 * noisy.std()
    assert smooth(noisy, 0.0) == pytest.approx(noisy)


def test_seeds_are_thin_and_only_the_mean_is_in_the_legend():
    chart = curves([series("a", "alone", seed, [0.2, 0.4]) for seed in (0, 1)], "val_accuracy")
    assert [trace.showlegend for trace in chart.data] == [False, False, True]
    assert chart.data[0].line.width < chart.data[2].line.width
    assert chart.layout.yaxis.title.text == "Validation accuracy (%)"


def test_variants_of_one_role_are_told_apart_by_their_dashes():
    def one(variant, role):
        return {"variant": variant, "role": role, "seed": 0, "step": [1, 2], "val_accuracy": [0.5, 0.6]}

    series = [one("student alone", "alone"), one("generation 1", "distilled"), one("student distilled", "distilled")]
    dashes = {trace.name: trace.line.dash for trace in curves(series, "val_accuracy").data}
    assert dashes == {"student alone": "solid", "generation 1": "solid", "student distilled": "dash"}
