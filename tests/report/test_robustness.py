import json

import numpy as np
import pytest
from scipy import stats

from kdcore.files import write_json
from kdcore.inputs.corruptions import CORRUPTIONS, SEVERITIES
from kdcore.measure.robustness import FILE, packed, protocol
from kdcore.report import comparison, robustness
from kdcore.report.robustness import against, by_class, compared, difference, measured, table
from kdcore.report.statistics import paired_proportions
from tests.report.conftest import CLASSES, IMAGES


def document(right, labels, images=IMAGES):
    """What the measurement writes, from bool (26, N): the clean inputs, then the corruptions' severities."""
    scores = right.mean(axis=1).tolist()
    groups = {name: range(1 + 5 * place, 6 + 5 * place) for place, name in enumerate(CORRUPTIONS)}
    classes = [
        {"class": str(k), "n": int((labels == k).sum()), "clean": float(right[0, labels == k].mean())}
        | {name: float(right[rows][:, labels == k].mean()) for name, rows in groups.items()}
        for k in range(CLASSES)
    ]
    return {
        "protocol": protocol(images, (1, 8, 8)), "measure": "accuracy", "n": len(labels), "clean": scores[0],
        "corrupted": float(np.mean(scores[1:])), "right": packed(right[0]), "classes": classes,
        "corruptions": [
            {
                "corruption": name, "score": float(np.mean([scores[row] for row in rows])),
                "severities": [
                    {"severity": severity, "score": scores[row], "right": packed(right[row])}
                    for severity, row in zip(SEVERITIES, rows, strict=True)
                ],
            }
            for name, rows in groups.items()
        ],
    }  # fmt: skip


@pytest.fixture
def answers(laboratory, quickstart):
    """bool (26, N) of every variant that is measured: all but the student on hard labels."""
    random = np.random.default_rng(1)
    shares = {"teacher": 0.9, "student alone": 0.6, "student distilled": 0.8, "pruned 50 %": 0.75, "int8": 0.7}
    falling = np.concatenate([[1.0], *[np.linspace(0.95, 0.4, 5) for _ in CORRUPTIONS]])[:, None]
    return {name: random.random((26, IMAGES)) < share * falling for name, share in shares.items()}


@pytest.fixture
def found(laboratory, quickstart, answers):
    for row in comparison.rows(laboratory.workspace, [quickstart]):
        if row["variant"] in answers:
            told = document(answers[row["variant"]], laboratory.labels)
            write_json(laboratory.workspace.model(row["model_key"]) / FILE, told)
    return measured(laboratory.workspace, quickstart)


def test_only_what_was_measured_is_told(laboratory, quickstart, found):
    assert [one.variant for one in found] == ["teacher", "student alone", "student distilled", "pruned 50 %", "int8"]
    rows = {row["variant"]: row for row in comparison.rows(laboratory.workspace, [quickstart])}
    assert rows["student on hard labels"]["corrupted_accuracy"] is None
    assert all(rows[one.variant]["corrupted_accuracy"] == one.corrupted for one in found)


def test_a_new_measurement_is_seen_at_once(laboratory, found, answers):
    told = document(~answers["int8"], laboratory.labels)
    write_json(laboratory.workspace.model(found[-1].key) / FILE, told)
    assert robustness.corrupted(laboratory.workspace, found[-1].key) == told["corrupted"]


def test_steps_are_compared_with_their_parents_and_everybody_with_the_teacher(found):
    assert [(one.variant, other.variant) for one, other in compared(found)] == [
        ("pruned 50 %", "student distilled"),
        ("int8", "pruned 50 %"),
        ("student alone", "teacher"),
        ("student distilled", "teacher"),
        ("pruned 50 %", "teacher"),
        ("int8", "teacher"),
    ]


def test_the_differences_are_paired_by_image(found, answers):
    mine, others = answers["int8"], answers["pruned 50 %"]
    told = against(found[-1], found[-2])
    per_image = mine[1:].mean(axis=0) - others[1:].mean(axis=0)
    expected = stats.ttest_1samp(per_image, 0).confidence_interval()
    assert told.corrupted[:3] == pytest.approx((per_image.mean(), expected.low, expected.high))
    assert told.corrupted.p == pytest.approx(stats.ttest_1samp(per_image, 0).pvalue)
    clean = mine[0].astype(float) - others[0]
    assert told.clean == paired_proportions(int((clean > 0).sum()), int((clean < 0).sum()), IMAGES)
    beyond = stats.ttest_1samp(per_image - clean, 0).confidence_interval()
    assert told.beyond[:3] == pytest.approx((per_image.mean() - clean.mean(), beyond.low, beyond.high))


def test_one_condition_is_paired_too(found, answers):
    mine, others = answers["int8"][8], answers["teacher"][8]
    told = difference(found[-1], found[0], "blur", 3)
    assert told == paired_proportions(int((mine & ~others).sum()), int((others & ~mine).sum()), IMAGES)
    assert difference(found[-1], found[0], "clean", 0).value == pytest.approx(found[-1].clean - found[0].clean)


def test_the_same_answers_differ_by_nothing_with_an_interval_that_has_a_width(found):
    told = against(found[0], found[0])
    assert told.corrupted.value == told.beyond.value == 0
    assert told.corrupted.low < 0 < told.corrupted.high


def test_other_images_are_not_compared(laboratory, found, answers, quickstart):
    write_json(laboratory.workspace.model(found[-1].key) / FILE, document(answers["int8"], laboratory.labels, 3000))
    int8 = measured(laboratory.workspace, quickstart)[-1]
    assert against(int8, found[-2]) is None
    assert difference(int8, found[-2], "noise", 1) is None


def test_average_precision_has_no_interval(laboratory, found, answers, quickstart):
    for one in found[-2:]:
        told = document(answers[one.variant], laboratory.labels) | {"measure": "mAP", "right": None}
        for group in told["corruptions"]:
            group["severities"] = [row | {"right": None} for row in group["severities"]]
        write_json(laboratory.workspace.model(one.key) / FILE, told)
    pruned, int8 = measured(laboratory.workspace, quickstart)[-2:]
    assert against(int8, pruned).corrupted == (pytest.approx(int8.corrupted - pruned.corrupted), None, None, None)
    assert "of mAP on corrupted inputs, " in against(int8, pruned).words
    assert int8.interval("noise", 2).low is None
    assert difference(int8, pruned, "jpeg", 5).low is None


def test_classes_that_lost_most_beyond_their_clean_loss_come_first(found, answers, laboratory):
    changes = by_class(found[-1], found[-2])
    labels = laboratory.labels
    change = answers["int8"].astype(float) - answers["pruned 50 %"]
    expected = {str(k): change[1:, labels == k].mean() - change[0, labels == k].mean() for k in range(CLASSES)}
    assert [one.name for one in changes] == sorted(expected, key=expected.__getitem__)
    assert changes[0].beyond == pytest.approx(expected[changes[0].name])
    assert changes[0].n == (labels == int(changes[0].name)).sum()
    assert changes[0].by_corruption["noise"] == pytest.approx(change[1:6, labels == int(changes[0].name)].mean())


def test_classes_without_images_say_nothing(found):
    empty = found[0]._replace(classes=tuple(row | {"clean": None, "noise": None} for row in found[0].classes))
    assert {one.beyond for one in by_class(empty, found[1])} == {None}
    assert {one.by_corruption["noise"] for one in by_class(empty, found[1])} == {None}


def test_the_table_has_a_row_for_each_condition(found):
    rows = table(found)
    assert len(rows) == len(found) * 26
    last = rows[-1]
    assert (last["corruption"], last["severity"], last["variant"]) == ("jpeg", 5, "int8")
    interval = stats.binomtest(round(last["score"] * IMAGES), IMAGES).proportion_ci(method="wilson")
    assert (last["low"], last["high"]) == pytest.approx((interval.low, interval.high))
    assert last["from_clean"] == pytest.approx(found[-1].scores["jpeg"][-1] - found[-1].clean)


def test_the_document_is_json(laboratory, quickstart, found):
    told = json.loads(json.dumps(robustness.document(laboratory.workspace, quickstart), allow_nan=False))
    assert [one["variant"] for one in told["variants"]] == [one.variant for one in found]
    assert len(told["differences"]) == 6
    assert told["protocol"]["images"] == IMAGES


def test_a_difference_in_words(found):
    told = against(found[-1], found[-2])
    assert told.words.startswith("int8 against pruned 50 %: −")
    assert told.words.endswith(" on clean inputs")
