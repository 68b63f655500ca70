"""What the generated form makes of a field."""

from __future__ import annotations

from typing import Literal, get_origin

import pytest
from pydantic import BaseModel, Field

from kdcore.recipe import Augmentation, Data, Measure, Recipe, Student, Teacher, Train
from kdcore.registry import PACKAGES, entries
from pages.shared import fields
from pages.shared.fields import Kind, kind_of, label


@pytest.mark.parametrize(
    ("model", "name", "kind"),
    [
        (Data, "labels", Kind(int, True, False, None)),
        (Data, "transfer", Kind(bool, False, False, None)),
        (Data, "hide_classes", Kind(str, False, True, None)),
        (Recipe, "seeds", Kind(int, False, True, None)),
        (Measure, "margin", Kind(float, False, False, None)),
    ],
)
def test_plain_kinds(model, name, kind):
    assert kind_of(model.model_fields[name]) == kind


@pytest.mark.parametrize(
    ("model", "name", "registry", "many"),
    [
        (Data, "source", "dataset", False),
        (Student, "model", "architecture", False),
        (Recipe, "distill", "method", False),
        (Recipe, "controls", "method", True),
        (Recipe, "compress", "step", True),
    ],
)
def test_choices_know_their_registry(model, name, registry, many):
    kind = kind_of(model.model_fields[name])
    assert (kind.registry, kind.many) == (registry, many)


def test_the_range_of_a_number_is_the_fields_own():
    class Some(BaseModel):
        closed: int = Field(2, ge=1, le=5)
        open: float = Field(0.5, gt=0, lt=1)
        free: int = 0

    assert [fields._range(field) for field in Some.model_fields.values()] == [
        "At least 1, at most 5.", "More than 0, less than 1.", "",
    ]  # fmt: skip


def test_labels_are_made_of_names():
    assert label("train.learning_rate") == "Learning rate"
    assert label("compress.0") == "Compress"


@pytest.mark.parametrize(
    ("value", "step"), [(0.01, 0.01), (4.0, 1.0), (250.0, 1.0), (0.0, 0.1), (0.9, 0.1), (-2.0, 1.0)]
)
def test_steps_fit_the_value(value, step):
    assert fields._step(value) == pytest.approx(step)


def test_lists_are_read_as_numbers_and_what_is_none_stays():
    kind = Kind(int, False, True, None)
    assert fields._taken("64, 32,", kind) == [64, 32]
    assert fields._taken("64, wide", kind) == [64, "wide"]


def test_numbers_by_name_are_read_from_one_line():
    step = next(one for one in entries("step") if one.name == "prune_structured")
    kind = kind_of(step.options.model_fields["policy"])
    assert fields._taken("stem.conv: 0.5, head:0.25,", kind) == {"stem.conv": 0.5, "head": 0.25}
    assert fields._taken("", kind) == {}
    assert fields._taken("head, stem: much", kind) == {"head": "", "stem": "much"}


@pytest.mark.parametrize("model", [Data, Augmentation, Train, Teacher, Student, Measure, Recipe])
def test_every_field_of_the_recipe_has_a_control(model):
    for name, field in model.model_fields.items():
        kind = kind_of(field)
        assert kind.registry or is_nested(kind) or kind.base is dict or has_widget(kind), name


@pytest.mark.parametrize("registry", [kind for kind in PACKAGES if kind not in ("scheme", "launcher")])
def test_every_option_has_a_control_and_a_help(registry):
    for entry in entries(registry):
        for name, field in entry.options.model_fields.items():
            kind = kind_of(field)
            if name != registry and not is_nested(kind):
                assert has_widget(kind) or kind.base is dict, f"{entry.name}.{name}"
                assert field.description, f"{entry.name}.{name}"


def is_nested(kind):
    return isinstance(kind.base, type) and issubclass(kind.base, BaseModel)


def has_widget(kind):
    return fields.is_plain(kind) and (kind.base in (bool, int, float, str) or get_origin(kind.base) is Literal)
