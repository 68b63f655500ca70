import contextlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.distill.traits import MethodTraits
from kdcore.presets import presets


def test_every_entry_says_what_it_is_and_explains_every_option():
    for kind in ("dataset", "architecture", "method", "step"):
        for known in registry.entries(kind):
            assert len(known.description) > 10, known.name
            for name, option in known.options.model_fields.items():
                assert name == kind or option.description, f"{known.name}.{name} has no help"


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(registry.UnknownEntry, match="hard_labels, kd"):
        registry.entry("method", "nothing")


def test_two_entries_of_one_name_are_refused():
    def other(): ...

    with pytest.raises(ValueError, match="twice"):
        registry.register("method", "kd", "again", traits=MethodTraits("responses", "student", "distilled"))(other)


def test_registries_presets_and_plans_need_no_torch(tmp_path):
    code = """
import sys
from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.distill.traits import MethodTraits
from kdcore.presets import presets
from kdcore.data.dataset import NotFetched
from kdcore.problems import RecipeError
from kdcore.plan.plan import plan
for kind in registry.PACKAGES:
    registry.catalog(kind)
for preset in presets():
    try:
        plan(preset.recipe)
    except NotFetched:
        pass
    except RecipeError:
        assert preset.asks
heavy = {"torch", "onnx", "onnxruntime", "streamlit"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from kdcore.data.dataset import load; from kdcore.recipe import Recipe;load(Recipe().data.source)",
        ],
        check=True,
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_presets_are_found_and_say_what_to_look_for():
    names = [preset.name for preset in presets()]
    assert names[0] == "quickstart"
    assert all(len(preset.look_for) > 40 for preset in presets())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", registry.PACKAGES)
@settings(max_examples=60)
@given(data=st.data())
def test_no_choice_does_worse_than_a_validation_error(kind, data):
    chosen = data.draw(st.sampled_from(registry.entries(kind)))
    fields = st.sampled_from([*chosen.options.model_fields, "²"])
    value = data.draw(
        json_values | st.dictionaries(fields, json_values, max_size=4).map(lambda v: {kind: chosen.name} | v)
    )
    with contextlib.suppress(ValidationError, PydanticCustomError):
        registry.validate(kind, value)


def test_a_wrong_or_missing_trait_is_refused_when_the_entry_registers():
    with pytest.raises(TypeError, match="famly"):
        MethodTraits(famly="responses", label="student, mine", role="distilled")
    with pytest.raises(TypeError, match="label"):
        registry.register("method", "mine", "Without traits")
    with pytest.raises(TypeError, match="StepTraits, not MethodTraits"):
        registry.register("method", "mine", "A step's traits", traits=StepTraits("pruned", "prune", "mine", True))
    assert "mine" not in {entry.name for entry in registry.entries("method")}


def test_a_trait_may_depend_on_the_options():
    whole, linear = (registry.validate("step", {"step": "int8_dynamic", "layers": of}) for of in ("all", "linear"))
    assert [StepTraits.of(step).label for step in (whole, linear)] == ["int8 dynamic", "int8 dynamic, linear layers"]
