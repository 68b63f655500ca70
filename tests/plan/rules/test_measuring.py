import pytest

from kdcore.export import openvino_runtime
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from tests.small import small


def test_openvino_that_is_not_installed_is_refused_at_its_field(monkeypatch):
    monkeypatch.setattr(openvino_runtime, "installed", lambda: False)
    with pytest.raises(RecipeError) as refused:
        plan(small("measure.openvino=true"))
    problem = refused.value.problems[0]
    assert problem.field == "measure.openvino"
    assert openvino_runtime.INSTALL in problem.message


def test_openvino_is_in_no_key(monkeypatch):
    monkeypatch.setattr(openvino_runtime, "installed", lambda: True)
    keys = [stage.key for stage in plan(small("measure.openvino=true")).stages]
    assert keys == [stage.key for stage in plan(small()).stages]
