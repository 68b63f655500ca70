"""What a trained model is refused for when a run starts from it: before any work, at the field that would help."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from kdcore import models
from kdcore.data.dataset import load
from kdcore.models import judging, upload
from kdcore.models.first_look import Sample
from kdcore.plan.plan import plan
from kdcore.problems import RecipeError
from kdcore.recipe import parse
from kdcore.registry import validate

MODEL = {"architecture": "cnn", "width": 4}


@pytest.fixture(autouse=True)
def judged_here(monkeypatch, tmp_path):
    """Judges and opens weights in this process: the same functions, without the seconds of importing torch."""
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(upload, "_converted", lambda path, target, ema: upload._convert(path, target, ema) or target)
    monkeypatch.setattr(
        judging, "judge",
        lambda path, wanted, sample, others: judging.judged(path, wanted, Sample.read(sample), others),
    )  # fmt: skip


def network(classes=10):
    dataset = load(validate("dataset", "digits"))
    torch.manual_seed(0)
    return models.create(validate("architecture", MODEL), classes, dataset.shape, dataset.mean, dataset.std).eval()


def begun(path, **options):
    """The plan of a run that starts from this file."""
    source = {"teacher": "weights_file", "path": str(path), "anyway": True, **options}
    document = {"start": "model", "teacher": {"source": source, "model": MODEL}, "compress": [{"step": "half"}]}
    return plan(parse(document))


def refused(*arguments, **options):
    with pytest.raises(RecipeError) as caught:
        begun(*arguments, **options)
    (problem,) = caught.value.problems
    return problem


def prefixed(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


SAVED = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "model": lambda state: {"model": state, "optimizer": {"lr": 0.1}},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.3},
    "ema alone": lambda state: {"ema": state},
    "state_dict_ema beside": lambda state: {
        "state_dict": {name: 0 * tensor for name, tensor in state.items()},
        "state_dict_ema": state,
    },
    "module.": lambda state: prefixed("module.", state),
    "_orig_mod.": lambda state: {"model": prefixed("_orig_mod.", state)},
    "half precision": lambda state: {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()
    },
}


@pytest.mark.parametrize("way", [*SAVED, "safetensors"])
def test_a_checkpoint_is_a_start_however_it_was_saved(way, tmp_path):
    state = network().state_dict()
    if way == "safetensors":
        path = tmp_path / "saved.safetensors"
        save_file(state, path)
    else:
        path = tmp_path / "saved.pt"
        torch.save(SAVED[way](state), path)
    found = begun(path, ema="beside" in way)
    assert [row.name for row in found.variants] == ["original model", "fp16"]
    given = upload.take(path, upload.Wanted(described(), ema="beside" in way))[0]
    torch.testing.assert_close(models.head(given).weight.data, state["head.weight"], rtol=1e-3, atol=1e-4)


def described():
    dataset = load(validate("dataset", "digits"))
    return models.describe(validate("architecture", MODEL), 10, dataset.shape, dataset.mean, dataset.std)


def test_a_head_for_other_classes_is_refused_with_both_numbers_and_a_remedy(tmp_path):
    torch.save(network(classes=7).state_dict(), tmp_path / "seven.pt")
    problem = refused(tmp_path / "seven.pt")
    assert problem.field == "teacher.source.path"
    assert "its head is for 7 classes, and this data set has 10: choose the data set" in problem.message


def test_a_pickled_module_is_refused_with_the_line_that_saves_its_weights(tmp_path):
    torch.save(network(), tmp_path / "whole.pt")
    problem = refused(tmp_path / "whole.pt")
    assert problem.field == "teacher.source.path"
    assert "torch.save(model.state_dict(), path)" in problem.message


def test_a_running_mean_that_is_not_there_is_refused_with_the_raw_weights_as_the_remedy(tmp_path):
    torch.save(network().state_dict(), tmp_path / "raw.pt")
    assert refused(tmp_path / "raw.pt", ema=True).changes == (("teacher.source.ema", False),)
