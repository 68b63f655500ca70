"""Teachers that somebody else trained: asked how they want pixels and count classes, they are right as at home."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from kdcore import models
from kdcore.data.normalisations import usual
from kdcore.export import runtime
from kdcore.models import judging, upload
from kdcore.models.first_look import Sample
from kdcore.problems import RecipeError
from kdcore.registry import entry, validate
from tests.owners import Owner, accuracy, digits, export, trained

NAMES = tuple(sorted(str(number) for number in range(1, 11)))  # folders in the order of programs: 1, 10, 2, ...
NATURAL = tuple(sorted(NAMES, key=int))
IMAGENET = usual(1)["imagenet"]
ARCHITECTURE = validate("architecture", {"architecture": "cnn", "width": 8})
JUDGE = judging.judge
KINDS = ("weights_file", "onnx_file")
ONE_QUICK = ("weights_file", pytest.param("onnx_file", marks=pytest.mark.slow))


@pytest.fixture(scope="module")
def dataset():
    return digits(NAMES)


@pytest.fixture(scope="module")
def owner(dataset):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = models.create(ARCHITECTURE, 10, dataset.shape, dataset.mean, dataset.std)
    return trained(network, dataset, dataset.train_labels, IMAGENET)


@pytest.fixture(autouse=True)
def judged_here(monkeypatch):
    """Judges and opens weights in this process: the same functions, without the seconds of importing torch."""

    def converted(path, target, ema):
        upload._convert(path, target, ema)
        return target

    monkeypatch.setattr(upload, "_converted", converted)
    monkeypatch.setattr(
        judging, "judge",
        lambda path, wanted, sample, others: judging.judged(path, wanted, Sample.read(sample), others),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KDCORE_HOME", str(tmp_path / "home"))


def reordered(owner: Owner, places: Any) -> Owner:
    """The network as somebody trained it who counts the classes in another order."""
    again = Owner(models.rebuild(_document(owner), {**owner.network.state_dict(), **_normalize()}))
    head = models.head(again.network)
    with torch.no_grad():
        for part in (head.weight, head.bias):
            part.copy_(part[list(places)].clone())
    return again


def _document(owner: Owner) -> dict[str, Any]:
    return models.describe(ARCHITECTURE, 10, (1, 8, 8), [0.0], [1.0])


def _normalize() -> dict[str, torch.Tensor]:
    return {"normalize.mean": torch.zeros(1, 1, 1), "normalize.std": torch.ones(1, 1, 1)}


_files = count()


def saved(owner: Owner, kind: str, folder, channels: int = 1):
    name = folder / f"theirs{next(_files)}"
    if kind == "onnx_file":
        return export(owner, name.with_suffix(".onnx"), (channels, 8, 8))
    torch.save(owner.network.state_dict(), name.with_suffix(".pt"))
    return name.with_suffix(".pt")


def teacher(kind: str, path, dataset, **options: Any):
    """The options, and what the plan makes of them. Raises RecipeError."""
    chosen = validate("teacher", {"teacher": kind, "path": str(path), **options})
    source = entry("teacher", kind).implementation(chosen)
    return source.given(ARCHITECTURE, dataset, None)


def asked(kind: str, path, dataset, **options: Any) -> Any:
    """The one problem that the plan has with a teacher."""
    with pytest.raises(RecipeError) as caught:
        teacher(kind, path, dataset, **options)
    (problem,) = caught.value.problems
    return problem


def taken(problem: Any) -> dict[str, Any]:
    return {path.removeprefix("teacher.source."): value for path, value in problem.changes}


def accuracy_here(kind: str, path, dataset, folder, **options: Any) -> float:
    """The accuracy on the test images of what the worker makes of the plan's teacher."""
    given = teacher(kind, path, dataset, **options)
    options = {name: value for name, value in given.spec.items() if name in entry("teacher", kind).options.model_fields}
    source = entry("teacher", kind).implementation(validate("teacher", {"teacher": kind, **options}))
    brought = source.bring(path, given.spec.get("model"), dataset, folder)
    pixels = runtime.pixels(dataset.test_images)
    if brought.network is not None:
        return accuracy(brought.network, pixels, dataset.test_labels)
    return accuracy(lambda images: torch.from_numpy(runtime.logits(brought.onnx, images.numpy())), pixels,
                    dataset.test_labels)  # fmt: skip


@pytest.mark.parametrize("kind", ONE_QUICK)
def test_a_teachers_own_normalisation_is_found_and_makes_it_right(owner, dataset, tmp_path, kind):
    own = accuracy(owner, IMAGENET.of(dataset.test_images), dataset.test_labels)
    assert own > 0.9
    path = saved(owner, kind, tmp_path)
    problem = asked(kind, path, dataset)
    assert problem.field == "teacher.source.pixels"
    assert taken(problem) == {"pixels": "imagenet"}
    assert accuracy_here(kind, path, dataset, tmp_path, **taken(problem)) == own


@pytest.mark.parametrize("kind", ONE_QUICK)
def test_a_teachers_own_order_of_classes_is_found_and_makes_it_right(owner, dataset, tmp_path, kind):
    own = accuracy(owner, IMAGENET.of(dataset.test_images), dataset.test_labels)
    path = saved(reordered(owner, [NAMES.index(name) for name in NATURAL]), kind, tmp_path)
    problem = asked(kind, path, dataset, pixels="imagenet")
    assert problem.field == "teacher.source.class_order"
    assert taken(problem) == {"class_order": list(NATURAL)}
    assert accuracy_here(kind, path, dataset, tmp_path, pixels="imagenet", **taken(problem)) == own


@pytest.mark.parametrize("kind", ONE_QUICK)
def test_both_are_found_at_once_in_any_order(owner, dataset, tmp_path, kind):
    own = accuracy(owner, IMAGENET.of(dataset.test_images), dataset.test_labels)
    places = np.random.default_rng(1).permutation(10).tolist()
    path = saved(reordered(owner, places), kind, tmp_path)
    changes = taken(asked(kind, path, dataset))
    assert changes == {"pixels": "imagenet", "class_order": [NAMES[place] for place in places]}
    assert accuracy_here(kind, path, dataset, tmp_path, **changes) == own


@pytest.mark.parametrize("numbers", [{"mean": (0.449,), "std": (0.226,)},
                                     {"pixels": "0..255", "mean": (114.495,), "std": (57.63,)}])  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_a_mean_and_a_deviation_can_be_given_in_numbers(owner, dataset, tmp_path, kind, numbers):
    own = accuracy(owner, IMAGENET.of(dataset.test_images), dataset.test_labels)
    path = saved(owner, kind, tmp_path)
    numbers = {"pixels": "0..1"} | numbers
    assert accuracy_here(kind, path, dataset, tmp_path, **numbers) == pytest.approx(own, abs=0.005)


def test_weights_are_judged_in_a_process_of_their_own(owner, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "judge", JUDGE)
    assert taken(asked("weights_file", saved(owner, "weights_file", tmp_path), dataset)) == {"pixels": "imagenet"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_near_chance_is_questioned_and_may_teach_anyway(dataset, tmp_path, kind):
    torch.manual_seed(5)
    network = Owner(models.create(ARCHITECTURE, 10, dataset.shape, dataset.mean, dataset.std).eval())
    path = saved(network, kind, tmp_path)
    problem = asked(kind, path, dataset)
    assert "the most frequent class alone would give 1" in problem.message
    assert problem.changes == ()
    assert teacher(kind, path, dataset, anyway=True)


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"class_order": NAMES[:-1]}, "class_order", "9 is missing"),
        ({"class_order": (*NAMES[:-1], "11")}, "class_order", "11 is not a class here and 9 is missing"),
        ({"class_order": (*NAMES, "1")}, "class_order", "occurs twice"),
        ({"mean": (0.5,)}, "std", "give both mean and standard deviation"),
        ({"pixels": "0..1", "mean": (0.5,), "std": (0,)}, "std", "above zero"),
        ({"pixels": "0..1", "mean": (0.5, 0.1), "std": (1,)}, "mean", "2 numbers; the network expects 1 channels"),
        ({"pixels": "imagenet", "mean": (0.5,), "std": (1,)}, "mean", "contradict pixels=imagenet"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_options_that_make_no_sense_are_told_at_their_fields(owner, dataset, tmp_path, kind, options, field, words):
    problem = asked(kind, saved(owner, kind, tmp_path), dataset, **options)
    assert problem.field == f"teacher.source.{field}"
    assert words in problem.message


def test_the_options_as_they_are_leave_the_key_alone(owner, dataset, tmp_path):
    """A model that was made before there were such options is found again."""
    weights = teacher("weights_file", saved(owner, "weights_file", tmp_path), dataset, anyway=True)
    assert set(weights.spec) == {"model"}
    onnx_file = teacher("onnx_file", saved(owner, "onnx_file", tmp_path), dataset, anyway=True, class_order=NAMES)
    assert onnx_file.spec == {"pixels": "0..1", "outputs": "logits"}


@pytest.mark.parametrize("written", [str(dict(enumerate(NATURAL))), str(list(NATURAL)).replace("'", '"')])
def test_the_names_in_an_onnx_file_settle_the_order(owner, dataset, tmp_path, written):
    own = accuracy(owner, IMAGENET.of(dataset.test_images), dataset.test_labels)
    path = saved(reordered(owner, [NAMES.index(name) for name in NATURAL]), "onnx_file", tmp_path)
    model = onnx.load(path)
    model.metadata_props.add(key="names", value=written)
    onnx.save(model, path)
    given = teacher("onnx_file", path, dataset, pixels="imagenet")
    assert given.spec["class_order"] == list(NATURAL)
    assert "class names" in given.note
    assert accuracy_here("onnx_file", path, dataset, tmp_path, pixels="imagenet") == own


@pytest.mark.parametrize("kind", KINDS)
def test_grey_images_are_repeated_for_a_teacher_of_colour(dataset, tmp_path, kind):
    colour, numbers = digits(NAMES, channels=3), usual(3)["imagenet"]
    torch.manual_seed(0)
    network = models.create(ARCHITECTURE, 10, colour.shape, colour.mean, colour.std)
    owner = trained(network, colour, colour.train_labels, numbers)
    own = accuracy(owner, numbers.of(colour.test_images), colour.test_labels)
    path = saved(owner, kind, tmp_path, channels=3)
    problem = asked(kind, path, dataset, pixels="imagenet")
    assert "expects 3 channels, but these images have 1" in problem.message
    assert taken(problem) == {"channels": "repeated"}
    assert accuracy_here(kind, path, dataset, tmp_path, pixels="imagenet", channels="repeated") == own


def test_only_grey_images_can_be_repeated(owner, tmp_path):
    problem = asked("weights_file", saved(owner, "weights_file", tmp_path), digits(NAMES, channels=3),
                    channels="repeated")  # fmt: skip
    assert (problem.field, "these images have 3" in problem.message) == ("teacher.source.channels", True)


def test_both_sets_of_weights_are_told_and_either_can_be_taken(owner, dataset, tmp_path):
    state = owner.network.state_dict()
    worse = {name: value * 0 if name == "head.weight" else value for name, value in state.items()}
    path = tmp_path / "both.pth.tar"
    torch.save({"state_dict": worse, "state_dict_ema": state, "best_acc1": torch.tensor(97.0)}, path)
    raw = teacher("weights_file", path, dataset, pixels="imagenet", anyway=True)
    assert "two sets: the raw weights are used" in raw.note
    mean = teacher("weights_file", path, dataset, pixels="imagenet", ema=True)
    assert "two sets: the moving average is used" in mean.note
    assert mean.spec["ema"] is True
    own = accuracy(owner, IMAGENET.of(dataset.test_images), dataset.test_labels)
    assert accuracy_here("weights_file", path, dataset, tmp_path, pixels="imagenet", ema=True) == own
    alone = saved(owner, "weights_file", tmp_path)
    assert taken(asked("weights_file", alone, dataset, pixels="imagenet", ema=True)) == {"ema": False}


def test_a_torchscript_file_is_called_so(owner, dataset, tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.save(torch.jit.trace(owner, torch.zeros(1, 1, 8, 8)), str(path))
    problem = asked("weights_file", path, dataset)
    assert problem.field == "teacher.source.path"
    assert "TorchScript" in problem.message


def test_what_would_be_right_is_told_on_the_command_line(monkeypatch, capsys):
    from kdcore.cli import main
    from kdcore.problems import Problem

    problem = Problem("teacher.source.pixels", "Right on 13 %?", changes=(("teacher.source.pixels", "imagenet"),))

    def command(*_: Any) -> None:
        raise RecipeError([problem])

    parsed = SimpleNamespace(parse_args=lambda arguments: SimpleNamespace(command=command))
    monkeypatch.setattr(main, "parser", lambda: parsed)
    assert main.main([]) == 2
    said = capsys.readouterr().err
    assert """--set 'teacher.source.pixels="imagenet"'""" in said
