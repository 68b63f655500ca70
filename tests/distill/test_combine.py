import pytest
import torch
from pydantic import ValidationError

from kdcore import registry
from kdcore.distill.method import Method, StepInputs, Taps
from kdcore.distill.traits import MethodTraits, parts
from kdcore.recipe import override, parse
from kdcore.registry import Options
from tests.distill.nets import net

KD, DIST = {"method": "kd"}, {"method": "dist", "hard_weight": 5}


def options(*parts):
    pieces = [part if "of" in part else {"of": part} for part in parts]
    return registry.validate("method", {"method": "combine", "parts": pieces})


def made(of):
    return registry.entry_of("method", of).implementation(of)


@pytest.fixture
def seen():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 4, 10, generator=generator, dtype=torch.float64)
    return StepInputs(student, teacher, torch.eye(10, dtype=torch.float64)[:4])


def test_it_is_the_weighted_sum_of_its_methods_with_the_labels_of_the_first(seen):
    loss = made(options({"weight": 2, "of": KD}, {"weight": 0.5, "of": DIST})).loss(seen)
    kd, dist = (made(registry.validate("method", one)).loss(seen) for one in (KD, DIST))
    assert loss == {
        "hard": 2 * kd["hard"],
        "kd.soft": 2 * kd["soft"],
        "dist.inter": 0.5 * dist["inter"],
        "dist.intra": 0.5 * dist["intra"],
    }


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([KD], r"(?s)of.*\b2\b"),
        ([KD, KD], "kd is listed twice"),
        ([KD, {"method": "combine"}], "cannot contain another one"),
        ([KD, {"method": "nothing"}], "there is no method 'nothing'"),
        ([KD, {"method": "dist", "beta": 1}], "beta"),
        ([{"weight": 0, "of": KD}, DIST], r"(?s)weight.*\b0\b"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(parts, reason):
    with pytest.raises(ValidationError, match=reason):
        options(*parts)


def test_a_recipe_holds_it_gives_it_back_and_reaches_into_it():
    document = {"distill": {"method": "combine", "parts": [{"of": KD}, {"weight": 3, "of": DIST}]}}
    recipe = parse(override(document, ["distill.parts.0.of.temperature=8"]))
    assert recipe.distill.parts[0].of.temperature == 8
    assert parse(recipe.document()) == recipe


def test_its_traits_are_those_of_its_methods():
    free, bank = {"method": "label_smoothing"}, {"method": "crd"}
    assert MethodTraits.of(options(KD, DIST)).label == "student, KD + DIST"
    assert MethodTraits.of(options(free, DIST)).teacher is True
    assert MethodTraits.of(options(KD, DIST)).mixup is True
    assert MethodTraits.of(options(KD, bank)).mixup is False
    assert [MethodTraits.of(options(*pair)).taps for pair in ((KD, DIST), (KD, bank))] == [False, True]
    assert [of.method for of in parts(options(KD, DIST))] == ["kd", "dist"]
    assert parts(registry.validate("method", KD))[0].method == "kd"


class Spy(Method):
    """Notes what it is shown."""

    def __init__(self, wanted):
        super().__init__(Options())
        self.wanted = wanted

    def begin(self, student, teacher):
        student.begun = [*getattr(student, "begun", []), self.wanted]
        return student

    def taps(self, student, teacher):
        return Taps((self.wanted,), ("stage2",))

    def prepare(self, student, teacher, example, images):
        self.shown = list(example.student_features)
        return torch.nn.Linear(2, 2)

    def loss(self, seen):
        return {"seen": seen.student_features[self.wanted].sum() * len(seen.student_features)}


def test_every_method_prepares_for_itself_and_sees_its_own_taps_only(seen, monkeypatch):
    spies = {"kd": Spy("stem"), "dist": Spy("stage1")}
    for name, spy in spies.items():
        entry = registry.entry("method", name)
        monkeypatch.setitem(
            registry._entries, ("method", name), type(entry)(**vars(entry) | {"implementation": lambda _, spy=spy: spy})
        )
    method = made(options(KD, {"weight": 10, "of": DIST}))
    student = method.begin(net("cnn", width=8), net("cnn", width=8))
    assert student.begun == ["stem", "stage1"]
    assert method.taps(student, student) == Taps(("stem", "stage1"), ("stage2",))
    features = {"stem": torch.ones(1), "stage1": torch.ones(2)}
    shown = StepInputs(seen.student, seen.teacher, seen.targets, features, {"stage2": torch.ones(3)})
    module = method.prepare(student, student, shown, 9)
    assert set(dict(module.named_children())) == {"kd", "dist"}
    assert spies["dist"].shown == ["stage1"]
    assert {name: value.item() for name, value in method.loss(shown).items()} == {"kd.seen": 1, "dist.seen": 20}


def test_where_no_method_prepares_anything_neither_does_it():
    student = net("cnn", width=8)
    method = made(options(KD, DIST))
    assert method.taps(student, student) == Taps()
    assert (
        method.prepare(student, student, StepInputs(torch.zeros(2, 10), torch.zeros(2, 10), torch.eye(10)[:2]), 2)
        is None
    )
