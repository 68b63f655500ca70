from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kdcore.report import comparison, format
from kdcore.report.reading import RunFiles
from kdcore.report.statistics import Paired
from kdcore.report.verdicts import between, judge, shares

N = 200


@pytest.fixture
def students(laboratory):
    """Verdicts of a run whose students are right on so many of 200 images, by seed: alone, then methods by name."""

    def judged(alone, margin=1.0, **methods):
        rows = [
            {"name": "teacher", "role": "teacher", "keys": [laboratory.model(198)]},
            {"name": "student alone", "role": "alone", "keys": [laboratory.model(right) for right in alone]},
        ]
        for name, rights in methods.items():
            keys = [laboratory.model(right) for right in rights]
            rows.append({"name": name, "role": "distilled", "keys": keys})
        run = laboratory.run(rows, margin=margin)
        return {verdict.variant: verdict for verdict in comparison.verdicts(laboratory.workspace, run)}

    return judged


@pytest.fixture
def step(laboratory):
    """The verdict of a step on a parent that is right on the first 180 of 200 images."""

    def judged(gained, lost, margin=1.0):
        right = (np.arange(N) < 180 - lost) | (np.arange(N) >= N - gained)
        keys = [laboratory.model(180), laboratory.model(right)]
        rows = [
            {"name": "student distilled", "role": "distilled", "keys": keys[:1]},
            {"name": "pruned 50 %", "role": "pruned", "keys": keys[1:], "parent": "student distilled"},
        ]
        run = laboratory.run(rows, margin=margin)
        return next(v for v in comparison.verdicts(laboratory.workspace, run) if v.variant == "pruned 50 %")

    return judged


def test_soft_targets_beat_the_labels_by_seed(students):
    verdict = students((170, 168, 173), soft=(194, 192, 196))["soft"]
    differences = np.array([24, 24, 23]) / 2  # points
    expected = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert (verdict.verdict, verdict.few, verdict.n, verdict.basis) == ("BEATS", True, 3, "seeds")
    assert (verdict.points, verdict.low, verdict.high) == pytest.approx((differences.mean(), *expected))
    assert verdict.words == "Better than the student alone by 11.8 points (11.1 to 12.6, p < 0.001, 3 seeds)"


def test_distillation_can_hurt(students):
    verdict = students((168, 170, 166, 168, 167), soft=(150, 147, 149, 152, 148))["soft"]
    assert (verdict.verdict, verdict.few) == ("WORSE", False)
    assert verdict.words.startswith("Worse than the student alone by 9.3 points (")
    assert verdict.words.endswith(", 5 seeds)")


def test_every_control_is_judged_against_the_labels(laboratory):
    """Labels that were smoothed without a teacher are a control: they hold no soft targets."""
    rows = [
        {"name": name, "role": role, "keys": [laboratory.model(right + seed) for seed in range(3)]}
        for name, role, right in (("alone", "alone", 160), ("hard", "hard_labels", 170), ("smooth", "smoothed", 165))
    ]
    found = comparison.verdicts(laboratory.workspace, laboratory.run(rows))
    assert {(verdict.variant, verdict.against) for verdict in found} == {("hard", "alone"), ("smooth", "alone")}


def test_one_seed_is_not_judged(students):
    verdict = students((100,), soft=(190,))["soft"]
    assert (verdict.verdict, verdict.low, verdict.high, verdict.p) == ("INCONCLUSIVE", None, None, None)
    assert verdict.points == pytest.approx(45)
    assert verdict.words == "Not judged: one seed (+45.0 points against the student alone)"
    assert verdict.label == verdict.short == "not judged: one seed"


def test_a_verdict_has_one_word_everywhere(students):
    verdict = students((100, 101, 99), soft=(190, 191, 189))["soft"]
    assert (verdict.label, verdict.short) == ("better", "better than student alone")
    assert verdict.words.startswith("Better than")


def test_the_margin_makes_it_the_same(students):
    rights = {"alone": (180, 182, 178), "soft": (180, 182, 179)}
    assert students(**rights, margin=2.0)["soft"].verdict == "SAME"
    assert students(**rights, margin=0.5)["soft"].verdict == "INCONCLUSIVE"
    assert students(**rights, margin=2.0)["soft"].words.startswith(
        "Equivalent to the student alone within 2 points: +0.2"
    )


def test_a_difference_that_is_there_is_told_even_inside_the_margin(students):
    assert students((180, 181, 182), margin=20.0, soft=(186, 187, 188))["soft"].verdict == "BEATS"


def test_several_methods_against_one_baseline_are_corrected(students):
    """What one comparison alone would show is not shown when it is one of three."""
    alone, soft = (170, 172, 168, 171, 169), (173, 180, 169, 174, 176)
    weak = (170, 176, 167, 168, 172)
    p = stats.ttest_rel(np.array(soft), np.array(alone)).pvalue
    assert 0.05 / 3 < p < 0.05
    single = students(alone, soft=soft)["soft"]
    assert (single.verdict, single.p) == ("BEATS", pytest.approx(p))
    family = students(alone, soft=soft, weak=weak, weaker=weak)["soft"]
    assert (family.verdict, family.p) == ("INCONCLUSIVE", pytest.approx(3 * p))
    assert family.low < 0 < family.high
    differences = (np.array(soft) - np.array(alone)) / 2
    bounds = stats.t.interval(1 - 0.05 / 3, 4, differences.mean(), stats.sem(differences))
    assert (family.low, family.high) == pytest.approx(bounds)
    assert family.words.endswith(f"p = {3 * p:.3f}, 5 seeds, Holm's correction for 3 comparisons)")


def test_hard_labels_are_a_baseline_of_their_own(laboratory, quickstart):
    found = comparison.verdicts(laboratory.workspace, quickstart)
    against_hard = next(v for v in found if v.against == "student on hard labels")
    assert (against_hard.variant, against_hard.verdict) == ("student distilled", "BEATS")
    assert against_hard.points == pytest.approx(100 * (10 + 12 + 13) / 3 / N)
    column = {row["variant"]: row["verdict"] for row in comparison.rows(laboratory.workspace, [quickstart])}
    assert column["student on hard labels"] == column["student distilled"] == "BEATS"
    assert (column["teacher"], column["student alone"]) == (None, None)


def test_chains_beside_each_other_are_judged_by_seed_against_the_first(laboratory):
    """The table has the shorter chain's end before the longer one's: the sweep's order counts, not the table's."""
    chains = [[{"step": "prune_structured"}, {"step": "int8"}], [{"step": "qat"}], [{"step": "half"}]]
    values = [{"compress": chain} for chain in chains]
    rights = {
        "student distilled": (190, 188, 189),
        "pruned": (182, 181, 180),
        "QAT": (186, 185, 183),
        "fp16": (190, 188, 189),
    }
    rights["int8"] = (180, 178, 179)
    parents = {"pruned": "student distilled", "QAT": "student distilled", "fp16": "student distilled", "int8": "pruned"}
    about = {"pruned": values[0], "QAT": values[1], "fp16": values[2], "int8": values[0]}
    rows = [{"name": "teacher", "role": "teacher", "keys": [laboratory.model(198)]}]
    for name, counts in rights.items():
        keys = [laboratory.model(right) for right in counts]
        role = "quantized" if name in parents else "distilled"
        rows.append(
            {"name": name, "role": role, "keys": keys, "parent": parents.get(name), "values": about.get(name, {})}
        )
    run = laboratory.run(rows, sweep={"compress": chains})
    found = comparison.verdicts(laboratory.workspace, run)
    told = {verdict.variant: verdict for verdict in found if verdict.basis == "seeds"}
    assert {(one.variant, one.against) for one in told.values()} == {("QAT", "int8"), ("fp16", "int8")}
    differences = np.array([6, 7, 4]) / 2  # points
    expected = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert (told["QAT"].points, told["QAT"].low, told["QAT"].high) == pytest.approx((differences.mean(), *expected))
    assert told["fp16"].verdict == "BEATS"
    raw = stats.ttest_1samp(differences, 0).pvalue
    assert told["QAT"].p >= raw  # corrected: two chains meet one
    own = {row["variant"]: row["verdict"] for row in comparison.rows(laboratory.workspace, [run])}
    assert own["QAT"] == next(
        one.verdict for one in found if (one.variant, one.against) == ("QAT", "student distilled")
    )


@pytest.mark.parametrize(("gained", "lost"), [(0, 1), (1, 4), (5, 1), (0, 12), (14, 2), (8, 8)])
def test_a_step_is_judged_on_the_discordant_images(step, gained, lost):
    """The table of right and wrong is worked out here from how the models were built."""
    verdict = step(gained, lost)
    p = stats.chi2.sf((gained - lost) ** 2 / (gained + lost), 1)
    assert verdict.points == pytest.approx(100 * (gained - lost) / N)
    assert verdict.p == pytest.approx(p)
    assert (verdict.n, verdict.basis, verdict.few) == (N, "test examples", False)
    assert (verdict.verdict in ("BEATS", "WORSE")) == (p <= 0.05)


def test_a_step_that_costs_images_is_worse(step):
    verdict = step(0, 12)
    assert verdict.verdict == "WORSE"
    assert verdict.words.startswith("Worse than the student distilled by 6.0 points (")
    assert verdict.words.endswith(", 200 test examples)")


def test_a_step_that_costs_nothing_is_the_same_only_within_what_the_images_can_tell(step):
    """No discordant image in 200 still allows for two points either way."""
    assert step(0, 0, margin=3.0).verdict == "SAME"
    assert step(0, 0, margin=1.0).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.5, 1.5), "BEATS"),
        ((0.1, 0.9), "BEATS"),
        ((-1.5, -0.5), "WORSE"),
        ((-0.5, 0.9), "SAME"),
        ((-0.5, 1.1), "INCONCLUSIVE"),
        ((None, None), "INCONCLUSIVE"),
    ],
)
def test_judge(interval, expected):
    assert judge(Paired(0.2, *interval, None), margin=1.0) == expected


@pytest.mark.parametrize("lost", range(12))
def test_a_verdict_never_contradicts_its_interval_and_tells_p(step, lost):
    verdict = step(3, lost)
    told = verdict.verdict in ("BEATS", "WORSE")
    assert told == (not verdict.low <= 0 <= verdict.high) == (verdict.p <= 0.05)
    assert f"{format.p_value(verdict.p)}, 200 test examples" in verdict.words


def test_it_is_said_who_saw_how_much():
    told = shares({"train": 1077, "labelled": 50, "seen": 50, "test": 600})
    assert told.startswith("The teacher was trained on all 1,077 labelled images, the students on 50 labelled images.")
    assert "600 held-out test images" in told
    elsewhere = shares({"train": 1077, "labelled": 50, "seen": 50, "test": 600, "teacher": "onnx_file"})
    assert elsewhere.startswith("The teacher was trained outside this run")
    assert "50 labelled and 1,027 unlabelled images" in shares(
        {"train": 1077, "labelled": 50, "seen": 1077, "test": 600}
    )


def test_of_language_models_it_is_bits_that_are_measured():
    passages = {"shape": ["passages", 32, 32, 90, "abc"], "train": 9000, "labelled": 9000, "seen": 9000, "test": 600}
    assert "Bits per character are measured on 600 held-out test characters" in shares(passages)


def test_where_the_labels_are_varied_all_their_numbers_are_named():
    words = shares({"train": 1077, "labelled": 50, "seen": 50, "test": 600, "labelled_of_points": [20, 50, 100]})
    assert "the students on 20, 50 or 100 labelled images." in words


def test_any_two_rows_are_compared_by_seed_and_as_the_only_comparison(laboratory):
    rows = [
        {"name": "teacher", "role": "teacher", "keys": [laboratory.model(198)]},
        *({"name": name, "role": "distilled", "keys": [laboratory.model(right) for right in rights]}
          for name, rights in (("one", (180, 184, 182)), ("other", (170, 172, 174)))),
    ]  # fmt: skip
    run = RunFiles(laboratory.workspace, laboratory.run(rows))
    told = between(run, "one", "other")
    expected = stats.ttest_rel([180 / N, 184 / N, 182 / N], [170 / N, 172 / N, 174 / N])
    assert (told.points, told.p, told.compared) == (pytest.approx(5.0), pytest.approx(expected.pvalue), 1)
    assert told.low == pytest.approx(100 * expected.confidence_interval().low)
    with pytest.raises(LookupError):
        between(run, "one", "nobody")
