"""LoRA is refused where it cannot be, and warned of where the weights are random."""

from __future__ import annotations

import pytest

from kdcore.models.cost import Cost
from kdcore.plan.plan import plan
from kdcore.plan.rules import adapting
from kdcore.plan.rules.advice import advice
from kdcore.problems import RecipeError
from kdcore.recipe import override, parse
from tests.texts import csv_source, recipe


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return override(recipe(csv_source(tmp_path_factory.mktemp("texts"))), ["train.lora=4"])


def fields(document):
    with pytest.raises(RecipeError) as error:
        plan(parse(document))
    return [(problem.field, problem.changes) for problem in error.value.problems]


def test_networks_for_pictures_are_refused():
    document = override({}, ["teacher.train.steps=5", "teacher.train.lora=2"])
    assert fields(document) == [("teacher.train.lora", (("teacher.train.lora", 0),))]


def test_without_peft_it_says_so_before_the_run(texts, monkeypatch):
    monkeypatch.setattr(adapting, "find_spec", lambda name: None)
    assert [field for field, _ in fields(texts)] == ["train.lora"]


def test_with_it_the_rank_is_in_the_key_of_trainings_but_not_of_fine_tuning(texts, monkeypatch):
    monkeypatch.setattr(adapting, "find_spec", lambda name: name)
    fine = [{"step": "prune_unstructured", "finetune": {"steps": 5}}]
    stages = plan(parse(texts | {"compress": fine})).stages
    assert {stage.kind: stage.spec["train"].get("lora") for stage in stages} == {
        "train": 4, "distill": 4, "compress": None,
    }  # fmt: skip
    assert "lora" not in stages[0].spec["train"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ('scheme={"scheme":"mutual"}', "scheme.scheme"),
        ('scheme={"scheme":"joint"}', "scheme.scheme"),
        ('distill={"method":"weight_pull"}', "distill.method"),
        ('controls=[{"method":"hard_labels"},{"method":"weight_pull"}]', "controls.1.method"),
        ('distill={"method":"combine","parts":[{"of":{"method":"kd"}},{"of":{"method":"weight_pull"}}]}',
         "distill.method"),
    ],
)  # fmt: skip
def test_what_would_train_more_or_less_than_the_additions_is_refused(texts, monkeypatch, more, field):
    monkeypatch.setattr(adapting, "find_spec", lambda name: name)
    document = override(texts, [more])
    assert [at for at, _ in fields(document)] == [field]
    assert plan(parse(override(document, ["train.lora=0"]))).stages


def test_random_weights_are_warned_of(texts):
    found = advice(parse(texts), None, Cost(1, 1, 1))
    assert "train.lora" in [problem.field for problem in found]
