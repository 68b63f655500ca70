"""The rows of the reproduction beside their sources, without training."""

import pytest

from benchmarks import recipe_check, reproduce
from benchmarks.published import FIGURES, PAIRS

ROWS = ["teacher", "student alone", *reproduce.METHODS]


def differences(pair, row):
    method = row if row in reproduce.METHODS else "kd"
    return [one for one in recipe_check.compared(reproduce.recipe(pair, method), row, pair) if one.why != "same"]


@pytest.mark.parametrize("pair", PAIRS)
def test_every_difference_of_every_row_has_a_reason(pair):
    for row in ROWS:
        assert [one for one in differences(pair, row) if not one.why] == []


def test_no_reason_is_left_of_a_difference_that_is_gone():
    seen = {(one.field, one.ours, one.theirs) for pair in PAIRS for row in ROWS for one in differences(pair, row)}
    assert seen == recipe_check.EXPLAINED.keys()


def test_another_loss_or_training_is_told_and_ends_with_1(monkeypatch, capsys):
    assert reproduce.check() == 0
    capsys.readouterr()
    monkeypatch.delitem(reproduce.FOR_PAIR, ("dkd", "vgg13-vgg8"))
    plain = reproduce.recipe
    monkeypatch.setattr(reproduce, "recipe", lambda pair, method: with_nesterov(plain(pair, method)))
    assert reproduce.check() == 1
    told = capsys.readouterr().err
    assert "vgg13-vgg8, dkd: other_weight is 8.0, in the source 6.0" in told
    assert "resnet56-resnet20, student alone: nesterov is True, in the source False" in told
    assert "teacher: nesterov" not in told


def with_nesterov(recipe):
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"nesterov": True})})


def row(method, last, best):
    return {
        "pair": "vgg13-vgg8", "method": method, "cut": False, "precision": "fp32", "accuracy": last,
        "best_on_test": best, "seeds": 1, "epochs": 240, "seconds": 60.0, "hardware": "a GPU",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "printed", "difference"),
    [
        ("kd", "| 72.98 |  |", "+1.02 (last)"),
        ("dkd", "|  | 74.68 |", "-0.18 (best)"),
        ("kd-standardized", "| 74.50 | 74.36 |", "-0.50 (last)"),
        ("dist", "| 73.89? |  |", "+0.11 (last)"),
    ],
)
def test_like_is_compared_with_like(method, printed, difference):
    told = reproduce.report([row(method, 0.74, 0.745)])
    assert f"{printed} 74.00 | 74.50 | {difference} |" in told


def test_every_row_has_a_printed_figure():
    assert set(FIGURES) == set(ROWS)
    assert all(any(figure[1:]) for figures in FIGURES.values() for figure in figures.values())
