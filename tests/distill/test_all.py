"""What holds for every registered method, whoever wrote it."""

import json
import subprocess
import sys

import pytest

from kdcore import registry
from kdcore.distill.traits import MethodTraits, short

METHODS = registry.entries("method")
FAMILIES = {"responses", "features", "weights", "controls", "combinations"}


@pytest.fixture(params=METHODS, ids=lambda entry: entry.name)
def entry(request):
    return request.param


def test_its_defaults_are_valid_and_survive_being_written_down(entry):
    options = registry.validate("method", entry.name)
    assert registry.validate("method", json.loads(options.model_dump_json())) == options
    assert entry.implementation(options).options == options


def test_it_says_where_it_comes_from_and_explains_every_option(entry):
    assert entry.source, "it names no source"
    assert len(entry.description) > 20
    for name, field in entry.options.model_fields.items():
        assert name == "method" or (field.description and field.description[0].isupper()), name


def test_tables_can_name_it_and_group_it(entry):
    options = registry.validate("method", entry.name)
    traits = MethodTraits.of(options)
    assert traits.family in FAMILIES
    assert traits.label.startswith("student")
    assert not short(options).startswith("student")
    assert traits.role in ("distilled", "hard_labels", "smoothed")


def test_it_has_an_option_to_standardize_exactly_if_it_says_so(entry):
    assert ("standardize" in entry.options.model_fields) == MethodTraits.named(entry.name).standardize


def test_labels_tell_the_methods_apart():
    labels = [MethodTraits.of(registry.validate("method", entry.name)).label for entry in METHODS]
    assert len(set(labels)) == len(labels)


def test_the_catalog_is_whole_json_without_torch():
    code = (
        "import json, sys; from kdcore import registry; print(json.dumps(registry.catalog('method')));"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found = {method["name"]: method for method in json.loads(done.stdout)}
    assert set(found) == {entry.name for entry in registry.offered("method")}
    assert found["kd"]["family"] == "responses"
    assert "$ref" not in done.stdout, "a reference to a definition that is not there"
