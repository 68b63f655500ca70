from __future__ import annotations

import subprocess
import sys

import pytest

from kdcore import registry
from kdcore.compress.traits import StepTraits
from kdcore.recipe import RecipeError, parse
from tests import patience

STEPS = {"prune_structured", "prune_unstructured", "int8"}


def test_the_steps_are_registered_with_what_other_parts_ask_for():
    entries = {entry.name: entry for entry in registry.entries("step")}
    assert entries.keys() >= STEPS
    for name in STEPS:
        entry = entries[name]
        assert entry.source
        assert entry.description
        assert StepTraits.of(registry.validate("step", name)).label
        fields = entry.options.model_fields
        assert all(fields[option].description for option in fields.keys() - {"step", "finetune"})
    assert entries["int8"].traits.final


@pytest.mark.parametrize(
    ("step", "faster", "why"),
    [
        ({"step": "prune_unstructured"}, False, "multiplies"),
        ({"step": "prune_unstructured", "pattern": "2:4"}, False, "NVIDIA"),
        ({"step": "weight_quant", "bits": 2}, False, "unpacks them to fp32"),
        ({"step": "weight_quant", "bits": 2, "activations": "int8"}, True, "stores 8 bits per weight"),
        ({"step": "weight_quant", "bits": 8, "activations": "int8"}, True, ""),
        ({"step": "int8_dynamic"}, False, "convolutions run 4 to 20 times slower"),
        ({"step": "int8_dynamic", "layers": "linear"}, False, "stay fp32"),
        ({"step": "qat"}, True, ""),
        ({"step": "qat", "weight_bits": 2}, True, "storage only"),
        ({"step": "qat", "policy": {"head": 2}, "activation_bits": 4}, True, "and fewer bits per activation cost"),
    ],
)
def test_what_is_said_of_speed_depends_on_the_options(step, faster, why):
    chosen = registry.validate("step", step)
    assert StepTraits.of(chosen).faster is faster
    said = StepTraits.of(chosen).why
    assert why in said
    assert bool(why) == bool(said)
    told = {entry["name"]: entry for entry in registry.catalog("step")}[step["step"]]
    assert isinstance(told["faster"], bool)  # of the defaults


@pytest.mark.parametrize(
    ("step", "label"),
    [
        ({"step": "prune_structured", "ratio": 0.3}, "pruned 30 %"),
        ({"step": "prune_structured", "ratio": 0.125}, "pruned 12.5 %"),
        ({"step": "prune_structured", "policy": {"stem.conv": 0.5}}, "pruned by layer"),
        ({"step": "prune_unstructured", "ratio": 0.9}, "90 % zeros"),
        ({"step": "prune_unstructured", "pattern": "2:4"}, "2:4 zeros"),
        ({"step": "prune_unstructured", "policy": {"head": 0.5}}, "zeros by layer"),
        ({"step": "int8"}, "int8"),
    ],
)
def test_labels_are_short(step, label):
    chosen = registry.validate("step", step)
    assert StepTraits.of(chosen).label == label


@pytest.mark.parametrize(
    "step",
    [
        {"step": "prune_structured", "ratio": 1.0},
        {"step": "prune_structured", "ratio": 0},
        {"step": "prune_structured", "importance": "guess"},
        {"step": "prune_structured", "round_to": 0},
        {"step": "prune_unstructured", "ratio": 1.0},
        {"step": "prune_unstructured", "finetune": {"steps": -1}},
        {"step": "prune_unstructured", "policy": {"head": 1}},
        {"step": "prune_structured", "rounds": 0},
        {"step": "int8", "calibration": "guess"},
        {"step": "int8", "images": 0},
    ],
)
def test_options_out_of_bounds_are_refused_at_their_field(step):
    with pytest.raises(RecipeError) as raised:
        parse({"compress": [step]})
    (problem,) = raised.value.problems
    assert problem.field.startswith(f"compress.0.{list(step)[-1]}")


def test_listing_the_steps_imports_no_torch():
    code = (
        "import sys; from kdcore import registry; registry.entries('step');"
        "assert not {'torch', 'onnx', 'onnxruntime', 'torch_pruning', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patience.SECONDS)
