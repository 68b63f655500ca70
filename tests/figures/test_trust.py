"""Reliability, membership, confusion and changes by class: what their titles say and what is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from kdcore.figures.class_changes import SHOWN, class_changes, class_changes_view
from kdcore.figures.confusion import NAMED, confusion, confusion_view, difference, difference_view
from kdcore.figures.membership import leaks, leaks_view
from kdcore.figures.reliability import reliability, reliability_view
from kdcore.report.class_changes import Change
from kdcore.report.confusions import Shift
from kdcore.report.membership import Membership

SURE = [{"count": 0, "right": 0, "confidence": None}, {"count": 40, "right": 20, "confidence": 0.7}]
SURE += [{"count": 60, "right": 54, "confidence": 0.95}]
MENDED = [{"count": 20, "right": 9, "confidence": 0.5}, {"count": 80, "right": 65, "confidence": 0.8}]


def quality(rows=SURE, temperature=1.8, low=1.4, high=2.4, after=0.02, **more):
    scaled = None if temperature is None else {"ece": after, "nll": 0.3, "bins": MENDED}
    told = {"bins": rows, "temperature": temperature, "temperature_low": low, "temperature_high": high}
    return {"ece": 0.11, "calibration": {**told, "scaled": scaled}} | more


class TestReliability:
    def test_the_title_says_which_way_it_is_off_and_what_a_temperature_changes(self):
        assert reliability_view("int8", "quantized", quality()).title == (
            "Int8 is overconfident: mean confidence 85.0 %, accuracy 74.0 %; "
            "T = 1.80 lowers the calibration error (ECE) from 11.0 % to 2.0 %"
        )

    def test_a_temperature_that_may_be_one_is_no_remedy(self):
        title = reliability_view("int8", "quantized", quality(low=0.8)).title
        assert "overconfident" not in title
        assert title.endswith("T = 1.80 (0.80 to 2.40) is not significantly different from 1")

    @pytest.mark.parametrize(("after", "words"), [(0.2, "raises"), (0.1101, "leaves")])
    def test_a_temperature_may_do_harm_or_nothing(self, after, words):
        assert f"T = 1.80 {words} the calibration error" in reliability_view("s", "alone", quality(after=after)).title

    def test_it_may_be_underconfident_or_neither(self):
        low, even = ([{"count": 50, "right": right, "confidence": 0.6}] for right in (45, 30))
        assert (
            "S is underconfident: mean confidence 60.0 %, accuracy 90.0 %"
            in reliability_view("s", "alone", quality(low)).title
        )
        assert "S: mean confidence 60.0 %, accuracy 60.0 %" in reliability_view("s", "alone", quality(even)).title

    def test_points_carry_wilsons_interval_and_empty_bins_are_left_out(self):
        view = reliability_view("s", "alone", quality())
        expected = binomtest(20, 40).proportion_ci(method="wilson")
        assert (view.before[0].low, view.before[0].high) == pytest.approx((100 * expected.low, 100 * expected.high))
        assert (len(view.before), len(view.after), view.counts) == (2, 2, (0, 40, 60))

    def test_without_a_temperature_there_is_one_curve(self):
        figure = reliability("s", "alone", quality(temperature=None))
        assert [trace.name for trace in figure.data] == ["Perfect calibration", "As trained", "Count"]
        assert figure.layout.title.text.endswith("calibration error (ECE) 11.0 %")

    def test_several_labels_are_decisions(self):
        assert "decisions" in reliability("s", "alone", quality(map=0.5)).layout.xaxis.title.text


def member(name, auc, low, high, role="alone"):
    return Membership(name, role, auc, low, high, 50, 600, 0.2, 0.1, "", True, None, None)


UNKNOWN = Membership("soft", "teacher", None, None, None, None, None, None, None, "no file", False, None, None)


class TestMembership:
    def test_the_title_names_who_leaks_most(self):
        found = [member("teacher", 0.52, 0.4, 0.6, "teacher"), member("student alone", 0.89, 0.86, 0.92), UNKNOWN]
        view = leaks_view(found)
        assert view.title == "Student alone leaks most: AUC 0.89; 1 of 2 models leak"
        assert [one.variant for one in view.found] == ["teacher", "student alone"]

    def test_intervals_that_hold_one_half_tell_nothing(self):
        found = [member("a", 0.52, 0.4, 0.6), member("b", 0.55, 0.45, 0.65)]
        assert leaks_view(found).title == "Membership inference is no better than chance for any model"
        assert leaks_view(found[:1]).title == "Membership inference is no better than chance"
        assert leaks_view([UNKNOWN]).title == "Membership inference was not measured"

    def test_marks_carry_their_intervals_and_the_line_is_at_one_half(self):
        figure = leaks([member("student alone", 0.8, 0.7, 0.95)])
        (marks,) = figure.data
        assert (marks.error_x.array, marks.error_x.arrayminus) == (pytest.approx((0.15,)), pytest.approx((0.1,)))
        assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 0.5
        assert figure.layout.xaxis.range[0] < 0.5
        assert figure.layout.xaxis.range[1] > 0.95


COUNTS = np.array([[8, 2, 0], [0, 5, 5], [0, 0, 10]])


class TestConfusion:
    def test_the_title_names_the_commonest_mistake(self):
        view = confusion_view(COUNTS, ["cat", "dog", "cow"], "int8", "quantized")
        assert view.title == "Most common error of int8: dog predicted as cow, 5 examples of 10"
        assert view.shares[1].tolist() == [0, 0.5, 0.5]

    def test_it_may_make_no_mistake(self):
        title = confusion_view(np.diag([3, 4]), ["a", "b"], "teacher", "teacher").title
        assert title == "Teacher makes no error on the test examples"

    def test_of_many_classes_the_most_confused_are_shown(self):
        counts = np.diag(np.full(30, 10))
        counts[28, 2] = 7
        view = confusion_view(counts, [f"c{k}" for k in range(30)], "s", "alone")
        assert (len(view.classes), view.of) == (NAMED, 30)
        assert {"c28", "c2"} <= set(view.classes)
        assert view.shares[view.classes.index("c28"), view.classes.index("c2")] == pytest.approx(7 / 17)
        assert (
            "20 most confused of 30"
            in confusion(counts, [f"c{k}" for k in range(30)], "s", "alone").layout.xaxis.title.text
        )

    def test_counts_stand_in_their_cells(self):
        cells = confusion(COUNTS, ["cat", "dog", "cow"], "s", "alone").data[1]
        assert list(zip(cells.y, cells.x, cells.text, strict=True)) == [
            ("cat", "cat", "8"), ("cat", "dog", "2"), ("dog", "dog", "5"), ("dog", "cow", "5"), ("cow", "cow", "10"),
        ]  # fmt: skip


class TestDifference:
    OTHERS = ((8, 2, 0), (0, 9, 1), (0, 0, 10))

    def test_the_title_names_the_error_that_changed_significantly(self):
        found = [Shift(0, 1, 1, 1, 1.0), Shift(1, 2, 5, 1, 0.01)]
        view = difference_view(COUNTS, self.OTHERS, found, ["cat", "dog", "cow"], ("int8", "student"))
        assert view.title == (
            "Int8 predicts cow for 4 examples of dog more than student (p = 0.010 among 2 errors that differ)"
        )
        assert view.more[1].tolist() == [0, -4, 4]

    def test_what_may_be_chance_is_not_reported_as_a_change(self):
        names, classes = ("int8", "student"), ["cat", "dog", "cow"]
        view = difference_view(COUNTS, self.OTHERS, [Shift(1, 2, 5, 1, 0.2)], classes, names)
        assert view.title == "No error of int8 is significantly more or less common than that of student"
        assert difference_view(COUNTS, COUNTS, [], classes, names).title == "Int8 makes the same errors as student"

    def test_zero_has_the_colour_of_the_page_in_the_middle_of_the_scale(self):
        heat, _, numbers = difference(COUNTS, self.OTHERS, [], ["cat", "dog", "cow"], ("int8", "student")).data
        assert (heat.zmin, heat.zmax) == (-4, 4)
        assert heat.colorscale[1][1].endswith(", 0)")
        assert list(numbers.text) == ["\N{MINUS SIGN}4", "+4"]


def change(name, points, p=1.0):
    gained, lost = max(0, round(points)), max(0, round(-points))
    return Change(name, 100, gained, lost, points, points - 3, points + 3, p)


class TestClassChanges:
    def test_the_title_tells_the_greatest_change_that_is_one(self):
        found = [change("cat", -9.0), change("dog", -4.0, p=0.01), change("cow", 6.0, p=0.001)]
        view = class_changes_view(found, "int8", "quantized", "pruned")
        assert view.title == "Int8 has 6.0 points higher recall on cow than pruned"
        assert class_changes_view(found[:2], "int8", "quantized", "pruned").title == (
            "Int8 has 4.0 points lower recall on dog than pruned"
        )

    def test_what_chance_explains_is_not_significant(self):
        title = class_changes_view([change("cat", -2.0), change("dog", 1.0)], "int8", "quantized", "pruned").title
        assert title.startswith("Int8 has 2.0 points lower recall on cat than pruned, ")
        assert title.endswith("not significant among 2 classes")

    def test_nothing_may_have_changed(self):
        same, better = [change("cat", 0.0)], [change("cat", 2.0)]
        assert class_changes_view(same, "a", "alone", "b").title == "A and b are correct on the same examples"
        assert class_changes_view(better, "a", "alone", "b").title == "A has no lower recall than b on any class"

    def test_of_many_classes_those_that_changed_most_are_shown_in_their_order(self):
        found = [change(f"c{k}", float(k % 7)) for k in range(40)]
        view = class_changes_view(found, "a", "alone", "b")
        assert (len(view.rows), view.of) == (SHOWN, 40)
        assert [one.name for one in view.rows] == [one.name for one in found if one in view.rows]
        assert min(one.points for one in view.rows) == 3
        assert "20 of 40 classes" in class_changes(found, "a", "alone", "b").layout.xaxis.title.text

    def test_bars_carry_their_intervals(self):
        (bars,) = class_changes([change("cat", -2.0)], "a", "alone", "b").data
        assert (bars.x, bars.error_x.array, bars.error_x.arrayminus) == ((-2,), (3,), (3,))
