import pytest

from kdcore.models.cost import Cost
from kdcore.pipeline.advice import advice
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
