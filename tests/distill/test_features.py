"""What all methods that match features have in common."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kdcore.distill import features
from kdcore.distill.method import Unsuitable

NAMES = ["fitnets", "attention", "sp", "rkd", "pkt", "crd", "reviewkd", "simkd", "ofa"]
WITHOUT_ADAPTERS = {"attention", "sp", "rkd", "pkt", "simkd"}
NEED_MAPS = {"attention": "student", "reviewkd": "student", "simkd": "student"}
PAIRS = [("cnn", "wide"), ("cnn", "resnet"), ("resnet", "wide"), ("vit", "wide"), ("cnn", "vit"), ("resnet", "wrn")]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_student_and_the_adapters(name, feature_step):
    step = feature_step({"method": name, "hard_weight": 0})
    terms = step.method.loss(step.seen())
    assert terms.pop("hard").item() == 0
    torch.stack(list(terms.values())).sum().backward()
    assert (step.adapters is None) == (name in WITHOUT_ADAPTERS)
    silent = {"0.head.weight", "0.head.bias"} if name != "ofa" else set()  # what comes after the matched stage
    if name == "fitnets":
        silent |= {key for key in step.parameters if key.startswith("0.stage2")}
    for key, parameter in step.parameters.items():
        if key not in silent:
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
    reached = [key for key, p in step.parameters.items() if p.grad is not None and p.grad.abs().max() > 1e-12]
    assert any(key.startswith("0.") for key in reached)
    assert step.adapters is None or any(key.startswith("1.") for key in reached)


@pytest.mark.parametrize("name", NAMES)
def test_training_ends_elsewhere_than_plain_distillation(name, feature_step):
    ours, plain = feature_step({"method": name}), feature_step({"method": "kd"})
    ours.train(), plain.train()
    left, right = ours.network.state_dict()["stem.conv.weight"], plain.network.state_dict()["stem.conv.weight"]
    assert left.isfinite().all()
    assert not torch.allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_step_gives_the_same_bits(name, feature_step):
    assert feature_step({"method": name}).train() == feature_step({"method": name}).train()


@pytest.mark.parametrize("name", NAMES)
def test_features_of_networks_in_bf16_are_compared_in_float32(name, feature_step):
    step = feature_step({"method": name})
    exact = step.method.loss(step.seen())
    step = feature_step({"method": name})
    with torch.autocast("cpu", torch.bfloat16):
        seen = step.seen()
    seen = replace(seen, student=seen.student.float(), teacher=seen.teacher.float())
    for term, value in step.method.loss(seen).items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(exact[term].item(), rel=0.2, abs=0.02), term


@pytest.mark.parametrize("pair", PAIRS, ids="->".join)
@pytest.mark.parametrize("name", NAMES)
def test_networks_of_other_widths_and_families_fit(name, pair, feature_step):
    if name == "simkd" and "vit" in pair:
        with pytest.raises(Unsuitable, match="does not end in feature maps, their average"):
            feature_step({"method": name}, *pair)
        return
    losses = feature_step({"method": name}, *pair).train(2)
    assert all(loss > 0 and loss < 1e6 for loss in losses)


@pytest.mark.parametrize("name", NAMES)
def test_a_perceptron_is_taken_or_refused_with_the_reason(name, feature_step):
    if name in NEED_MAPS:
        for pair, whose in ((("mlp", "cnn"), "student"), (("cnn", "mlp"), "teacher")):
            with pytest.raises(Unsuitable, match=f"{whose}.*") as refused:
                feature_step({"method": name}, *pair)
            assert "maps" in str(refused.value)
    else:
        assert feature_step({"method": name}, "mlp", "cnn").train(2)[0] > 0
        assert feature_step({"method": name}, "cnn", "mlp").train(2)[0] > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name != "simkd"])
def test_a_stage_that_is_not_there_is_told_with_those_that_are(name, feature_step):
    one = name not in ("attention", "reviewkd", "ofa")
    wrong = {"student_tap": "stage7"} if one else {"student_taps": ["stage1", "stage7"]}
    with pytest.raises(Unsuitable, match="the student has no stage 'stage7'; it has: stem, stage1, stage2"):
        feature_step({"method": name, **wrong})


def test_the_automatic_taps(feature_network):
    deep, short = feature_network("resnet"), feature_network("cnn")
    assert features.middle_tap(deep, "auto", "student") == "stage2"
    assert features.middle_tap(short, "auto", "student") == "stage1"
    assert features.last_tap(deep, "", "student") == "stage3"
    assert features.last_tap(feature_network("wrn"), "auto", "teacher") == "last"  # after the last activation
    assert features.stage_taps(feature_network("wrn")) == ["stage1", "stage2", "stage3"]


def test_unequally_many_stages_are_matched_from_the_end(feature_network):
    deep, short = feature_network("resnet"), feature_network("cnn")
    last = ("stage2", "stage3")
    assert features.matched_taps(short, deep, ((), ())) == (("stage1", "stage2"), last)
    assert features.matched_taps(deep, short, ((), ())) == (last, ("stage1", "stage2"))
    assert features.matched_taps(deep, short, (("stage1",), ())) == (("stage1",), ("stage2",))
    assert features.matched_taps(deep, short, (("stem",), ("stage1",))) == (("stem",), ("stage1",))


def test_lists_of_stages_that_cannot_be_matched_are_refused(feature_network):
    deep, short = feature_network("resnet"), feature_network("cnn")
    with pytest.raises(Unsuitable, match="2 stages of the student cannot match 1 of the teacher"):
        features.matched_taps(short, deep, (("stage1", "stage2"), ("stage3",)))
    with pytest.raises(Unsuitable, match="3 stages should be matched, but the teacher has 2"):
        features.matched_taps(deep, short, (("stage1", "stage2", "stage3"), ()))
    with pytest.raises(Unsuitable, match="3 stages should be matched, but the student has 2"):
        features.matched_taps(short, deep, ((), ("stage1", "stage2", "stage3")))


def test_maps_of_unequal_size_are_averaged_down_to_the_smaller():
    large, small = torch.arange(16.0).reshape(1, 1, 4, 4), torch.ones(1, 3, 2, 2)
    left, right = features.same_size(large, small)
    assert left.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert right is small
    wide, tall = features.same_size(torch.ones(1, 1, 2, 4), torch.ones(1, 1, 4, 2))
    assert wide.shape == tall.shape == (1, 1, 2, 2)
