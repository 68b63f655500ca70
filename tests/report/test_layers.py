"""The layers of a variant as a table and as files."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest

from kdcore.files import read_json, write_json
from kdcore.problems import RecipeError
from kdcore.report import layers as report
from kdcore.workspace.workspace import UnknownRun

LAYER = {
    "name": "stem.conv", "type": "Conv", "shape": [4, 2, 3, 3], "params": 76, "weights": 72, "macs": 7200, "zeros": 36,
    "sparsity": 0.5, "filters": 4, "zero_filters": 1, "channels": 2, "zero_channels": 0, "mean_abs": 0.1, "std": 0.25,
    "bits": 8, "rank": 3, "distinct": 16, "distinct_in_filter": 8, "sqnr_db": 23.5, "sqnr_note": "",
    "histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [1, 3]},
}  # fmt: skip
FIRST = LAYER | {"name": "=odd|name", "rank": None, "sqnr_db": None, "sqnr_note": "the outputs are equal"}
OLD = {name: value for name, value in LAYER.items() if name not in ("rank", "distinct", "sqnr_db", "sqnr_note")}


@pytest.fixture
def run(laboratory):
    """A run whose int8 row has two layers, whose student was made by an earlier version, and whose last is missing."""
    student, int8 = (laboratory.model(190) for _ in range(2))
    for key, told in ((student, [OLD]), (int8, [FIRST, LAYER])):
        path = laboratory.workspace.model(key) / "report.json"
        sqnr = {"images": 64, "logits_db": 20.0, "logits_note": ""} if key == int8 else None
        write_json(path, read_json(path) | {"layers": told, "sqnr": sqnr})
    rows = [
        {"name": "student", "role": "distilled", "keys": [student]},
        {"name": "int8", "role": "quantized", "keys": [int8], "parent": "student"},
        {"name": "later", "role": "pruned", "keys": ["ab" * 32], "parent": "student"},
        {"name": "nothing", "role": "teacher", "keys": [laboratory.model(199)]},
    ]
    return laboratory.run(rows)


def test_every_format_tells_the_same(laboratory, run):
    found = report.inside(laboratory.workspace, run, "int8")
    rows = report.rows(found)
    assert [tuple(row) for row in rows] == [report.COLUMNS] * 2
    assert rows[1] == {
        "run": run, "variant": "int8", "name": "stem.conv", "type": "Conv", "shape": "4×2×3×3", "params": 76,
        "macs": 7200, "zeros_percent": 50.0, "zero_filters_percent": 25.0, "zero_channels_percent": 0.0,
        "mean_abs": 0.1, "std": 0.25, "bits": 8, "rank": 3, "distinct": 16, "distinct_in_filter": 8,
        "sqnr_db": 23.5, "sqnr_note": "",
    }  # fmt: skip
    files = {name: report.layers_file([found], name).decode() for name in report.FORMATS}
    (variant,) = json.loads(files["json"])["variants"]
    assert variant["layers"] == rows
    assert (variant["run"], variant["variant"], variant["model_key"]) == (run, "int8", found.key)
    assert variant["sqnr"]["logits_db"] == 20
    read = pd.read_csv(io.StringIO(files["csv"]))
    assert tuple(read.columns) == report.COLUMNS
    assert read["rank"].tolist()[1] == 3
    assert files["csv"].splitlines()[1].startswith(f"{run},int8,'=odd|name,")  # no formula in a spreadsheet
    assert ",0.25,8,3,16,8,23.5," in files["csv"]  # whole numbers stay whole beside a missing one
    heading = files["markdown"].splitlines()[0]
    assert tuple(cell.strip().replace("\\", "") for cell in heading.split("|")[1:-1]) == report.COLUMNS


def test_models_of_earlier_versions_tell_what_they_have(laboratory, run):
    (row,) = report.rows(report.inside(laboratory.workspace, run, "student"))
    assert (row["bits"], row["rank"], row["sqnr_db"]) == (8, None, None)
    both = [report.inside(laboratory.workspace, run, name) for name in ("student", "int8")]
    assert report.table(both)["variant"].tolist() == ["student", "int8", "int8"]


def test_what_is_not_there_is_told_with_what_is(laboratory, run):
    with pytest.raises(RecipeError, match=r'variant: "int9" is not in .*; there are: student, int8, later, nothing'):
        report.inside(laboratory.workspace, run, "int9")
    with pytest.raises(RecipeError, match="not finished"):
        report.inside(laboratory.workspace, run, "later")
    with pytest.raises(RecipeError, match="no layer information"):
        report.inside(laboratory.workspace, run, "nothing", field="--layers")
    with pytest.raises(UnknownRun):
        report.inside(laboratory.workspace, "nobody", "int8")
