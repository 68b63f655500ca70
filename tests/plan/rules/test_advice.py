import json

import pytest

from kdcore.models.cost import Cost
from kdcore.plan.rules.advice import advice
from tests.small import small

LARGE, SMALL = Cost(1000, 5000, 4000), Cost(100, 500, 400)


def fields(*assignments, teacher=LARGE, student=SMALL):
    return [problem.field for problem in advice(small("seeds=[0,1,2]", *assignments), teacher, student)]


def test_a_sound_recipe_gives_nothing_to_warn_of():
    assert fields() == []


@pytest.mark.parametrize(
    ("assignment", "field"),
    [
        ("seeds=[0]", "seeds"),
        ("controls=[]", "controls"),
        ('data.hide_classes=["3"]', "data.hide_classes"),
    ],
)
def test_what_weakens_the_experiment_is_told_at_its_field(assignment, field):
    assert fields(assignment) == [field]


def test_a_student_as_large_as_its_teacher_is_warned_of():
    assert fields(student=LARGE) == ["student.model"]


def test_without_hard_weight_a_hidden_class_is_fine():
    assert fields('data.hide_classes=["3"]', "distill.hard_weight=0", "distill.soft_weight=1") == []


def test_of_a_teacher_out_of_a_file_it_is_not_known_what_it_has_seen():
    uploaded = 'teacher.source={"teacher":"onnx_file","path":"theirs.onnx"}'
    assert fields(uploaded) == ["teacher.source"]
    assert fields(uploaded, student=LARGE) == ["teacher.source"]  # teacher.model is not that teacher
    assert fields(uploaded, teacher=None) == ["teacher.source"]
    assert fields('teacher.source={"teacher":"earlier","model":"some-run"}', student=LARGE) == []


def test_a_stage_that_a_network_does_not_have_is_told_with_those_that_it_has():
    large, small_one = (cost._replace(taps=("stem", "stage1", "stage2")) for cost in (LARGE, SMALL))

    def told(*assignments):
        return fields("distill.method=fitnets", *assignments, teacher=large, student=small_one)

    assert told() == told("distill.student_tap=stem") == []
    assert told("distill.student_tap=stage3", "distill.teacher_tap=x") == ["distill.student_tap", "distill.teacher_tap"]
    pieces = [{"of": {"method": "kd"}}, {"of": {"method": "attention", "student_taps": ["stage1", "x"]}}]
    combined = f"distill={json.dumps({'method': 'combine', 'parts': pieces})}"
    assert fields(combined, teacher=large, student=small_one) == ["distill.parts.1.of.student_taps"]
    assert fields(combined, teacher=large, student=SMALL) == []


def test_networks_too_slow_for_the_timing_budget_are_told_beforehand():
    slow = LARGE._replace(macs=4_100_000_000)
    assert fields("measure.timing_seconds=0.5", teacher=slow) == ["measure.timing_seconds"]
    for seconds, teacher in ((600, slow), (0, slow), (0.5, LARGE)):
        assert fields(f"measure.timing_seconds={seconds}", teacher=teacher) == []
