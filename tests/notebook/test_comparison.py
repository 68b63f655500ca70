import numpy as np
import pytest

import kdcore
from kdcore.export import runtime
from kdcore.problems import RecipeError
from kdcore.report import comparison
from kdcore.report.statistics import mcnemar, wilson
from kdcore.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def compared(data, teacher, student):
    small = kdcore.compress(student, "int8", *data)
    return kdcore.compare([teacher, student, small], seconds=1)


def test_the_table_has_what_was_measured_of_the_files(compared, data, teacher):
    table = compared.table.set_index("variant")
    assert table["size_bytes"].tolist() == [one.bytes for one in compared.results]
    labels = data[2][1].numpy()
    for (_, row), one in zip(table.iterrows(), compared.results, strict=True):
        right = int((one.answers == labels).sum())
        assert (row["accuracy"], row["accuracy_low"], row["accuracy_high"]) == pytest.approx(wilson(right, len(labels)))
    assert table["speedup"].iloc[0] == 1
    assert (table["latency_ms"] > 0).all()


def test_verdicts_are_paired_on_the_same_images(compared, data):
    labels = data[2][1].numpy()
    teacher, student, int8 = (one.answers == labels for one in compared.results)
    first, second = compared.verdicts
    assert (first.against, second.against) == ("teacher", compared.results[1].name)
    assert first.p == pytest.approx(mcnemar(int((student & ~teacher).sum()), int((teacher & ~student).sum())))
    assert second.points == pytest.approx(100 * (np.mean(int8) - np.mean(student)))


def test_a_notebook_shows_table_and_figures(compared, student):
    shown = compared._repr_html_()
    assert all(one.name in shown for one in compared.results)
    assert student.name in student._repr_html_()
    assert {point for trace in compared.figure("latency").data for point in (trace.x or ())}
    assert student.figure().data[0].y[-1] == pytest.approx(100 * student.history["val_accuracy"].iloc[-1])


def test_modules_are_measured_where_they_are_compared(data, own, student):
    found = kdcore.compare(own(4), student, test=data[2], seconds=0).rows
    assert [row["variant"] for row in found] == ["Own", student.name]
    assert found[0]["temperature"] is None
    assert found[0]["latency_ms"] is None


def test_results_that_other_images_judged_are_not_compared(data, own, teacher):
    with pytest.raises(RecipeError, match="different images"):
        kdcore.compare(teacher, own(4), test=(data[2][0][:50], data[2][1][:50]))


def test_results_are_taken_into_the_workspace(compared, tmp_path):
    workspace = Workspace(tmp_path)
    run = compared.to_workspace("From a notebook", tmp_path)
    rows = comparison.rows(workspace, [run])
    for name in ("variant", "accuracy", "size_bytes", "latency_ms", "judged"):
        assert [row[name] for row in rows] == [row[name] for row in compared.rows]


def test_what_pages_could_not_show_is_not_taken(data, own, tmp_path):
    normalised = [(images / 255 - 0.5, labels) for images, labels in data]
    made = kdcore.fit(own(4), *normalised, training={"steps": 20, "batch_size": 8})
    said = runtime.logits(made.onnx, normalised[2][0].numpy()).argmax(1)
    assert np.array_equal(made.answers, said)
    with pytest.raises(RecipeError, match="workspace"):
        made.to_workspace("Normalised", tmp_path)


def test_the_file_outlives_the_result_where_it_was_saved(student, tmp_path):
    path = student.save(tmp_path / "mine.onnx")
    assert path.read_bytes() == student.onnx.read_bytes()
