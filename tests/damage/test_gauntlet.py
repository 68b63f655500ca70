"""A sample of each kind of the gauntlet; `python -m benchmarks.gauntlet` goes through all of it."""

from __future__ import annotations

import pytest

from benchmarks import gauntlet
from tests.damage import corpus, inputs, trials
from tests.damage.trials import Found

SAMPLE = {  # each must end without a finding
    "a run's files": ("meta.json: empty", "result.json: lists nested deep", "plan.json: null inside"),
    "a run's events": ("lacks every field", "huge"),
    "the index": ("random pages", "no stages table"),
    "strange things among the runs": ("a link out", "a name with escapes"),
    "a finished model's files": ("model.safetensors: cut to half",),
    "a checkpoint": ("checkpoint/state-*.safetensors: flipped bytes",),
    "recipes": ("a superscript", "lists nested deep", "beyond 64 bits", "--set: 5,000 digits as a place"),
    "names": ("colours and bells", "a web address"),
    "weights files": (".safetensors: complex", ".safetensors: 1e38"),
    "ONNX files": ("a loop without end", "a function bomb"),
    "links": (),  # tests/pages/test_hostile_links.py
}
CASES = {(case.kind, case.name): case for case in gauntlet.cases()}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return trials.make(tmp_path_factory.mktemp("gauntlet"))


def test_every_kind_has_a_sample():
    assert {kind for kind, _ in CASES} == set(SAMPLE)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SAMPLE.items() for name in names])
def test_a_sample_of_each_kind(places, kind, name):
    assert gauntlet.bad(gauntlet.tried(CASES[kind, name], places)) == []


def test_what_is_taken_in_or_lost_is_counted(places):
    """The gauntlet itself must be able to find something."""
    assert trials.of_recipe(places[0], "{}").wrong
    assert trials.of_weights(places[0], lambda state: state, ".safetensors").wrong
    gone = trials.of_run(places[0], "../../models", corpus.BINARY_DAMAGES["gone"])
    assert gone.hidden
    text = gauntlet.report([(CASES["names", "HTML"], Found("KeyError: 'x'")), (CASES["names", "a link"], Found())])
    assert "| names | 2 | 1 | – | – | – |" in text
    assert "names, HTML: traceback: KeyError: 'x'" in text


def test_the_parameters_are_those_that_the_pages_have():
    assert set(inputs.LINKS) == {"home", "new", "runs", "compare", "soft_targets", "layers", "trust", "system"}
