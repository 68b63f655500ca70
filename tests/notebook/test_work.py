import numpy as np
import onnx
import pytest
import torch

import kdcore
from kdcore.export import runtime
from kdcore.problems import RecipeError
from tests.notebook.conftest import SHORT

CHANCE = 0.1


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def refused(call):
    with pytest.raises(RecipeError) as caught:
        call()
    return [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize("method", ["dkd", {"method": "fitnets", "hint_weight": 10}])
def test_a_network_that_the_zoo_does_not_know_is_distilled(data, own, teacher, method):
    made = kdcore.distill(teacher, own(8), *data, method, training=SHORT)
    assert made.accuracy.value > 2 * CHANCE
    assert made.bytes < teacher.bytes / 2


def test_what_was_given_stays_and_the_file_says_what_the_network_says(data, own, teacher):
    given, before = own(8), weights(own(8))
    heard = []
    made = kdcore.distill(teacher, given, *data, training=SHORT, on_epoch=heard.append)
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    assert not torch.equal(made.model.state_dict()["answer.weight"], before["answer.weight"])
    images = data[2][0].float() / 255
    with torch.no_grad():
        said = made.model(images).numpy()
    assert np.abs(runtime.logits(made.onnx, images.numpy()) - said).max() < 1e-4
    assert made.accuracy.value == pytest.approx((said.argmax(1) == data[2][1].numpy()).mean())
    assert made.history["step"].tolist() == [row["step"] for row in heard]
    assert made.history["step"].iloc[-1] == SHORT["steps"]


def test_the_same_call_gives_the_same_network(data, own, student, teacher):
    again = kdcore.distill(teacher, own(8), *data, training=SHORT)
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(), student.model.parameters(), strict=True))


def test_a_teacher_alone_can_teach_images_without_labels(data, own, teacher):
    (images, labels), validation, test = data
    soft = {"method": "kd", "hard_weight": 0}
    by_images = kdcore.distill(teacher, own(8), images, validation, test, soft, training=SHORT)
    by_labels = kdcore.distill(teacher, own(8), (images, labels), validation, test, soft, training=SHORT)
    assert by_images.accuracy == by_labels.accuracy


def test_three_steps_work_on_it_each_on_the_one_before(data, student):
    prune = {"step": "prune_structured", "ratio": 0.5, "round_to": 2, "finetune": {"steps": 60}}
    made = kdcore.compress(student, [prune, "int8"], *data, training=SHORT)
    before, pruned, int8 = made.chain
    assert before is student
    assert pruned.model.second[0].out_channels == 8
    assert pruned.accuracy.value > 2 * CHANCE
    assert pruned.report["cost"]["macs"] < 0.6 * student.report["cost"]["macs"]
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(int8.onnx).graph.node)
    assert 8 in set(int8.step["bits"])
    rounded = kdcore.compress(student, {"step": "weight_quant", "bits": 3, "first_and_last": 3}, *data)
    assert len(np.unique(rounded.model.second[0].weight[0].detach().numpy())) <= 7


def test_fine_tuning_learns_from_the_model_as_it_came(data, student):
    images, validation, test = data[0][0], data[1], data[2]
    finetune = {"steps": 60, "learning_rate": 0.01}
    soft = {"method": "kd", "hard_weight": 0}
    broken, mended = (
        kdcore.compress(
            student, {"step": "prune_unstructured", "finetune": finetune | steps}, images, validation, test,
            method=soft, training=SHORT,
        )
        for steps in ({"steps": 0}, {})
    )  # fmt: skip
    assert (mended.answers == student.answers).mean() > (broken.answers == student.answers).mean()


def test_named_modules_are_matched(data, own, teacher):
    taps = {"student": ["first"], "teacher": ["first"]}
    made = kdcore.distill(teacher, own(8), *data, "attention", training={"steps": 2, "batch_size": 8}, taps=taps)
    assert made.taps == ("first",)
    assert teacher.taps == ("first", "second")


REFUSED = {
    "no teacher": ("teacher", lambda own, data, teacher: kdcore.distill(None, own(8), *data)),
    "no module": ("teacher", lambda own, data, teacher: kdcore.distill("resnet", own(8), *data)),
    "no logits": ("student", lambda own, data, teacher: kdcore.distill(teacher, own(8).first, *data)),
    "no method": ("method", lambda own, data, teacher: kdcore.distill(teacher, own(8), *data, "dk")),
    "unsuitable": ("method", lambda own, data, teacher: kdcore.distill(teacher, own(8), *data, "simkd")),
    "option": (
        "method.temperature",
        lambda own, data, teacher: kdcore.distill(teacher, own(8), *data, {"method": "kd", "temperature": 0}),
    ),
    "training": ("training.epoch", lambda own, data, teacher: kdcore.fit(own(8), *data, training={"epoch": 3})),
    "no tap": (
        "taps.student",
        lambda own, data, teacher: kdcore.distill(teacher, own(8), *data, "fitnets", taps={"student": ["third"]}),
    ),
    "classes": ("classes", lambda own, data, teacher: kdcore.fit(own(8), *data, classes=["a", "b"])),
    "patience": ("test", lambda own, data, teacher: kdcore.fit(own(8), *data[:2], training={"patience": 2})),
    "devices": ("training.devices", lambda own, data, teacher: kdcore.fit(own(8), *data, training={"devices": 2})),
    "no channel": ("train", lambda own, data, teacher: kdcore.fit(own(8), (data[0][0][:, 0], data[0][1]), data[1])),
    "no labels": ("validation", lambda own, data, teacher: kdcore.fit(own(8), data[0], data[1][0])),
    "label": ("train", lambda own, data, teacher: kdcore.fit(own(8), (data[0][0], data[0][1] + 1), data[1])),
    "no step": ("steps", lambda own, data, teacher: kdcore.compress(teacher, [], *data)),
    "order": ("steps.1", lambda own, data, teacher: kdcore.compress(teacher, ["int8", "prune_structured"], *data)),
    "step": ("steps.0", lambda own, data, teacher: kdcore.compress(teacher, "tie", *data)),
    "ratio": (
        "steps.0.ratio",
        lambda own, data, teacher: kdcore.compress(teacher, {"step": "prune_structured", "ratio": 2}, *data),
    ),
    "unmeasured": ("test", lambda own, data, teacher: kdcore.compare(own(8), own(16))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_by_the_argument_s_name(own, data, teacher, case):
    argument, call = REFUSED[case]
    assert refused(lambda: call(own, data, teacher)) == [argument]


def test_steps_of_a_result_are_remembered(data, student):
    small = kdcore.compress(student, "half", *data)
    assert refused(lambda: kdcore.compress(small, "prune_structured", *data)) == ["steps.0"]
