"""How closely a student repeats its teacher, against scipy and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, rel_entr, softmax

from kdcore.report import comparison
from kdcore.report.fidelity import divergence, fidelity, logit_error

RANDOM = np.random.default_rng(0)
TEACHER, STUDENT = (RANDOM.normal(scale=3, size=(40, 5)).astype(np.float32) for _ in range(2))


def test_the_divergence_is_scipys():
    expected = rel_entr(softmax(TEACHER.astype(float), axis=1), softmax(STUDENT.astype(float), axis=1)).sum(axis=1)
    assert divergence(TEACHER, STUDENT) == pytest.approx(expected.mean(), rel=1e-9)


def test_of_several_labels_the_decisions_divergences_are_summed():
    yes, other = expit(TEACHER.astype(float)), expit(STUDENT.astype(float))
    expected = (rel_entr(yes, other) + rel_entr(1 - yes, 1 - other)).sum(axis=1).mean()
    assert divergence(TEACHER, STUDENT, several=True) == pytest.approx(expected, rel=1e-9)


def test_certain_answers_stay_finite():
    sure, other = np.array([[2000.0, 0.0]]), np.array([[0.0, 2000.0]])
    assert divergence(sure, other) == pytest.approx(2000)
    assert divergence(sure, other, several=True) == pytest.approx(1000)  # log 2, and 1000 - log 2
    assert divergence(sure, sure) == 0


def test_a_constant_on_all_logits_is_no_error_where_a_softmax_reads_them():
    shifted = TEACHER + RANDOM.normal(size=(40, 1))
    assert divergence(TEACHER, shifted) == pytest.approx(0, abs=1e-9)
    assert logit_error(TEACHER, shifted) == pytest.approx(0, abs=1e-6)
    assert logit_error(TEACHER, shifted, several=True) > 0.1


def test_the_logit_error_by_hand():
    centred = np.array([[1.0, -1.0], [2.0, -2.0]])
    assert logit_error(centred, 1.5 * centred) == pytest.approx(0.5)
    assert logit_error(centred, 0 * centred) == 1
    off = centred + np.array([[0.5, -0.5], [0.0, 0.0]])
    assert logit_error(centred, off) == pytest.approx(np.sqrt(0.125 / 2.5))


def test_a_teacher_that_says_nothing_has_no_scale():
    assert logit_error(np.ones((3, 4)), STUDENT[:3, :4]) is None


def logits(laboratory, key):
    with np.load(laboratory.workspace.model(key) / "logits.npz") as found:
        return found["test"]


def test_rows_tell_the_first_seeds_file_beside_its_teacher(laboratory, quickstart):
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [quickstart])}
    teacher, student = (logits(laboratory, rows[name]["model_key"]) for name in ("teacher", "student distilled"))
    row = rows["student distilled"]
    assert (row["kl"], row["logit_error"]) == (divergence(teacher, student), logit_error(teacher, student))
    assert (rows["teacher"]["kl"], rows["teacher"]["logit_error"]) == (0, 0)


def test_nothing_is_told_beside_a_teacher_that_does_not_know_the_test_images(laboratory):
    keys = [laboratory.model(190), laboratory.model(180)]
    np.savez(laboratory.workspace.model(keys[0]) / "logits.npz", validation=np.zeros((2, 10)))
    assert fidelity(laboratory.workspace, keys[1], keys[0], several=False) is None


def test_a_model_that_is_written_anew_is_read_anew(laboratory):
    keys = [laboratory.model(190), laboratory.model(180)]
    before = fidelity(laboratory.workspace, keys[1], keys[0], several=False)
    np.savez(laboratory.workspace.model(keys[1]) / "logits.npz", test=logits(laboratory, keys[0]))
    assert before.kl > 0
    assert fidelity(laboratory.workspace, keys[1], keys[0], several=False) == (0, 0)
