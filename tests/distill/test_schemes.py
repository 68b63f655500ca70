"""Who teaches whom: the losses against ones written out by hand, and what the plan makes of each scheme."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from kdcore import registry
from kdcore.distill.objectives.distillation import DistillationObjective
from kdcore.distill.objectives.together import Jointly, Mutually
from kdcore.models.nets.several import Mean
from kdcore.plan.plan import plan
from kdcore.recipe import Recipe, parse
from kdcore.train.objective import Batch
from tests.distill.nets import net
from tests.small import small

HARD, SOFT, T = 0.3, 0.7, 2.0


def kd():
    options = registry.validate("method", {"method": "kd", "hard_weight": HARD, "soft_weight": SOFT, "temperature": T})
    return registry.entry_of("method", options).implementation(options)


def scheme(name, **options):
    chosen = registry.validate("scheme", {"scheme": name, **options})
    return registry.entry_of("scheme", chosen).implementation(chosen)


@pytest.fixture
def batch():
    """Twelve images of which every third has no label."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.eye(10)[torch.randint(10, (12,), generator=generator)]
    targets[::3] = 0
    return Batch(torch.rand(12, 1, 8, 8, generator=generator), targets, torch.arange(12), 0, 10, 0)


def cross_entropy(logits, targets):
    labelled = targets.sum(1) > 0
    return functional.cross_entropy(logits[labelled], targets[labelled].argmax(1))


def taught(student, teacher, targets):
    """The distillation loss, written out."""
    p, q = (functional.softmax(logits / T, 1) for logits in (teacher.detach(), student))
    soft = T**2 * (p * (p.log() - q.log())).sum(1).mean()
    return HARD * cross_entropy(student, targets) + SOFT * soft


def gradients(loss, networks):
    for network in networks:
        network.zero_grad()
    loss.backward()
    return [torch.cat([w.grad.flatten() for w in network.parameters()]) for network in networks]


def together(lesson_of, made, batch, expected):
    """The lesson's loss and gradients beside those of `expected(student, others, targets)`, on copies."""
    networks = [net("cnn", seed, width=4 + 2 * seed).eval() for seed in range(1 + made)]
    lesson = lesson_of(kd(), networks[1:])
    lesson.prepare(networks[0], batch, 12, "fp32")
    assert {id(w) for w in lesson.companions.parameters()} == {id(w) for n in networks[1:] for w in n.parameters()}
    loss, logits = lesson.loss(networks[0], batch)
    found = gradients(loss, networks)
    said = [network(batch.images) for network in networks]
    by_hand = expected(said[0], said[1:], batch.targets)
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    torch.testing.assert_close(logits, said[0])
    for one, other in zip(found, gradients(by_hand, networks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_two_students_teach_each_other(batch):
    together(Mutually, 1, batch, lambda a, b, y: taught(a, b[0], y) + taught(b[0], a, y))


def test_each_of_three_students_learns_from_the_mean_of_what_the_others_would_teach_it(batch):
    """Zhang et al. 2018, eq. 7: labels as they are, and the mean of the divergences from the other two."""

    def expected(a, others, y):
        b, c = others
        lessons = [(taught(own, x, y) + taught(own, z, y)) / 2 for own, x, z in ((a, b, c), (b, a, c), (c, a, b))]
        return torch.stack(lessons).sum()

    together(Mutually, 2, batch, expected)


def test_a_teacher_that_learns_beside_its_student_hears_the_labels_alone(batch):
    together(Jointly, 1, batch, lambda a, b, y: taught(a, b[0], y) + cross_entropy(b[0], y))


@pytest.mark.parametrize("shares", [(), (1.0, 3.0)])
def test_several_teachers_are_asked_as_the_mean_of_their_logits(batch, shares):
    chosen = scheme("several_teachers", shares=shares)
    weights = chosen.weights()
    assert list(weights) == ([0.25, 0.75] if shares else [0.5, 0.5])
    student, first, second = (net("cnn", seed, width=4).eval() for seed in range(3))
    lesson = DistillationObjective(kd(), Mean([first, second], weights).eval())
    lesson.prepare(student, batch, 12, "fp32")
    loss, _ = lesson.loss(student, batch)
    mean = weights[0] * first(batch.images) + weights[1] * second(batch.images)
    assert loss.item() == pytest.approx(taught(student(batch.images), mean, batch.targets).item(), rel=1e-5)


def test_a_lesson_with_a_teacher_is_the_methods_loss_on_what_it_says(batch):
    student, teacher = net("cnn", 0, width=4).eval(), net("cnn", 1, width=6).eval()
    lesson = DistillationObjective(kd(), teacher)
    lesson.prepare(student, batch, 12, "fp32")
    for _ in range(2):  # the second time its answer is remembered
        loss, _ = lesson.loss(student, replace(batch, step=0))
        assert loss.item() == pytest.approx(taught(student(batch.images), teacher(batch.images), batch.targets).item())


def planned(name, *assignments, **options):
    """The plan of the small quickstart, without compression, under a scheme."""
    document = small("compress=[]", *assignments).document()
    return plan(parse({**document, "scheme": {"scheme": name, **options}}))


def rows(made):
    return {variant.name: variant.keys for variant in made.variants}


def by_key(made):
    return {stage.key: stage for stage in made.stages}


def test_what_a_scheme_does_not_touch_is_shared_with_the_usual_way():
    usual = rows(planned("offline"))
    for name in ("assistants", "born_again", "mutual", "joint", "several_teachers"):
        made = rows(planned(name))
        for shared in ("teacher", "student alone", "student on hard labels"):
            assert made[shared] == usual[shared], f"{name}: {shared}"
        assert not {*usual["student distilled"]} & {key for keys in made.values() for key in keys}, name


def test_assistants_are_a_chain_from_the_teacher_to_the_student():
    chain = [{"architecture": "cnn", "width": 7}, {"architecture": "cnn", "width": 6}]
    made = planned("assistants", chain=chain)
    found, stages = rows(made), by_key(made)
    first, second = found["assistant 1"], found["assistant 2"]
    assert len(first) == len(second) == 1, "one assistant serves every seed"
    assert stages[first[0]].teacher == found["teacher"][0]
    assert stages[second[0]].teacher == first[0]
    students = found["student distilled, by an assistant"]
    assert len(students) == 2
    assert {stages[key].teacher for key in students} == set(second)
    assert [stages[key].spec["model"]["width"] for key in (*first, *second)] == [7, 6]
    assert list(stages).index(first[0]) < list(stages).index(second[0]) < list(stages).index(students[0])


def test_a_network_is_born_again_of_its_own_seeds_last_self():
    made = planned("born_again", generations=3)
    found, stages = rows(made), by_key(made)
    line = ["student alone", "generation 1", "generation 2", "student distilled, born again"]
    for older, younger in pairwise(line):
        assert [stages[key].teacher for key in found[younger]] == list(found[older])
        assert [stages[key].seed for key in found[younger]] == [0, 1]
    assert len({stages[keys[0]].spec["model"]["width"] for name, keys in found.items() if name in line}) == 1


def test_self_distillation_is_one_generation():
    made = planned("born_again", generations=1)
    found, stages = rows(made), by_key(made)
    assert "generation 1" not in found
    assert [stages[key].teacher for key in found["student distilled, born again"]] == list(found["student alone"])


@pytest.mark.parametrize(("name", "beside"), [("mutual", 8), ("joint", 9)])
def test_networks_that_start_together_ask_nobody_who_was_there_before(name, beside):
    made = planned(name, "teacher.model.width=9")
    stages = by_key(made)
    for key in rows(made)[f"student distilled, {name}"]:
        stage = stages[key]
        assert (stage.teacher, stage.others) == (None, ())
        assert [one["width"] for one in stage.spec["beside"]] == [beside]


def test_mutual_learning_takes_the_peers_that_are_named():
    peers = [{"architecture": "cnn", "width": 5}, {"architecture": "mlp"}]
    made = planned("mutual", peers=peers)
    stage = by_key(made)[rows(made)["student distilled, mutual"][0]]
    assert [one["architecture"] for one in stage.spec["beside"]] == ["cnn", "mlp"]


def test_the_further_teachers_are_trained_like_the_first_from_other_seeds():
    made = planned("several_teachers", others=[{"architecture": "cnn", "width": 8}] * 2, shares=[2, 1, 1])
    found, stages = rows(made), by_key(made)
    teachers = [found[name][0] for name in ("teacher", "teacher 2", "teacher 3")]
    assert [stages[key].seed for key in teachers] == [0, 1, 2]
    assert len({str(stages[key].spec) for key in teachers}) == 1
    for key in found["student distilled, by several teachers"]:
        assert (stages[key].teacher, *stages[key].others) == tuple(teachers)
        assert stages[key].spec["weights"] == [0.5, 0.25, 0.25]
    with pytest.raises(ValueError, match="one per teacher"):
        scheme("several_teachers", others=[{"architecture": "cnn"}], shares=[1, 1, 1])


@pytest.mark.parametrize(("budget", "steps"), [("train.steps=60", 150), ("train.epochs=40", None)])
def test_function_matching_changes_every_students_budget_and_views_alike(budget, steps):
    usual, made = planned("offline", budget), planned("function_matching", budget, longer=2.5, mixup=0.7)
    students = [stage for stage in made.stages if stage.role != "teacher"]
    assert {stage.role for stage in students} == {"alone", "hard_labels", "distilled"}
    before = {stage.spec["train"]["steps"] for stage in usual.stages if stage.role != "teacher"}
    after = {stage.spec["train"]["steps"] for stage in students}
    assert len(before) == len(after) == 1
    assert after == {steps} if steps else after.pop() == pytest.approx(2.5 * before.pop(), rel=0.02)
    assert {stage.spec["train"]["views"]["mixup"] for stage in students} == {0.7}
    assert [stage.key for stage in made.stages if stage.role == "teacher"] == [usual.stages[0].key]


def test_function_matching_takes_the_teachers_word_alone():
    made = planned("function_matching")
    methods = {stage.role: stage.spec["method"] for stage in made.stages if "method" in stage.spec}
    assert methods["distilled"]["hard_weight"] == 0
    assert (
        methods["hard_labels"]
        == {stage.role: stage.spec["method"] for stage in planned("offline").stages if "method" in stage.spec}[
            "hard_labels"
        ]
    )


@pytest.mark.parametrize("entry", registry.entries("scheme"), ids=lambda entry: entry.name)
def test_each_scheme_survives_being_written_down(entry):
    recipe = parse({**small().document(), "scheme": entry.name})
    assert Recipe.model_validate_json(recipe.to_json()) == recipe
    assert entry.source, "it names no source"
    assert all(field.description for name, field in entry.options.model_fields.items() if name != "scheme")
