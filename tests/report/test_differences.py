"""What differs between runs, and what came of it."""

from __future__ import annotations

from kdcore.report.differences import Field, differences, differing, table


def test_fields_that_differ_are_told_by_their_path():
    first = {"name": "a", "data": {"labels": 50}, "compress": [{"step": "int8"}], "seeds": [0, 1], "sweep": {}}
    second = {"name": "b", "data": {"labels": 200}, "compress": [], "seeds": [0], "sweep": {}}
    assert differing([first, second]) == [
        Field("data.labels", ("50", "200")),
        Field("compress.0.step", ("int8", "–")),
        Field("seeds", ("[0, 1]", "[0]")),
    ]
    assert differing([first, first | {"name": "c"}]) == []


def test_the_results_that_differ_follow(laboratory):
    good, bad = (
        laboratory.run([{"name": "teacher", "role": "teacher", "keys": [laboratory.model(right)]}], margin=margin)
        for right, margin in ((190, 1.0), (100, 2.0))
    )
    found = differences(laboratory.workspace, [good, bad])
    assert found[0] == Field("measure.margin", ("1.0", "2.0"))
    accuracy = next(field for field in found if field.path == "teacher: test accuracy")
    assert [value.split(" (")[0] for value in accuracy.values] == ["95.0 %", "50.0 %"]
    assert not any("file" in field.path for field in found)  # they are of one size
    frame = table(laboratory.workspace, [good, bad])
    assert list(frame.columns) == ["field", good, bad]
    assert len(frame) == len(found)
