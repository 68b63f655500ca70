"""Every file is read back by something that did not write it."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import openpyxl
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kdcore.report import columns, comparison, documents
from kdcore.report.comparison import COLUMNS

NAMES = st.text(min_size=1, max_size=30)
HOSTILE = (
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "=HYPERLINK(\"http://x\")", "a,b;c\"d", "line\r\nbreak",
    "<script>alert(1)</script>", "</table><b>", "a & b", "&lt;", "50 % of $x_1^2$ #1 ~ {}", "\\input{/etc/passwd}",
    "| a | b |", "`code` *bold* [link](x)", "\x00\x0b\x1b[31m", "\ufffe", "ü × −", "a  b", " ", "NaN", "None",
)  # fmt: skip


def hostile(test):
    for name in HOSTILE:
        test = example(name)(test)
    return given(NAMES)(test)


def printable(name):
    """What of a name must survive: everything but control characters and spaces."""
    return "".join(mark for mark in name if mark.isprintable() and not mark.isspace())


def frame(name):
    values = {"variant": [name, "plain"], "accuracy": [0.1234567890123456, None], "size_bytes": [16_384, None]}
    return pd.DataFrame(values).astype({"size_bytes": "Int64"})


class Cells(HTMLParser):
    """The table's cells, and every tag that there is."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self._open = [], set(), False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        self._open = tag in ("td", "th")
        if self._open:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._open = self._open and tag not in ("td", "th")

    def handle_data(self, data):
        if self._open:
            self.rows[-1][-1] += data


def markdown_rows(text):
    lines = [line for line in text.splitlines() if not re.fullmatch(r"[|:\- ]+", line)]
    return [[cell.strip() for cell in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]] for line in lines]


def test_exact_formats_keep_every_digit(laboratory, quickstart):
    """The same numbers come back from each, to the last digit that the format has."""
    expected = comparison.rows(laboratory.workspace, [quickstart])
    exact = ("csv", "xlsx", "json")
    files = {name: documents.comparison_file(laboratory.workspace, [quickstart], name) for name in exact}

    read = pd.read_csv(io.BytesIO(files["csv"]), float_precision="round_trip")
    sheet = list(openpyxl.load_workbook(io.BytesIO(files["xlsx"])).active.values)
    found = json.loads(files["json"])["runs"][0]["variants"]

    assert list(read.columns) == list(sheet[0]) == list(COLUMNS)
    assert found == [{name: row[name] for name in COLUMNS} for row in expected]
    for index, row in enumerate(expected):
        for place, name in enumerate(COLUMNS):
            value = row[name]
            exact = value if not isinstance(value, float) else pytest.approx(value, rel=1e-14)  # Excel's own precision
            assert sheet[index + 1][place] == exact
            assert pd.isna(read[name][index]) if value is None else read[name][index] == value


def test_formats_to_be_read_are_rounded_and_relative_to_the_baseline(laboratory, quickstart):
    rows = comparison.rows(laboratory.workspace, [quickstart])
    chosen = ["variant", "accuracy", "score_interval", "size_bytes", "smaller", "points", "faster", "map"]
    files = {
        name: documents.comparison_file(
            laboratory.workspace, [quickstart], name, baseline=rows[3], columns=chosen
        ).decode()
        for name in documents.ROUNDED
    }
    markdown = markdown_rows(files["markdown"])
    assert Cells(files["html"]).rows == [[cell.replace("\\", "") for cell in row] for row in markdown]
    assert markdown[0][:4] == ["Variant", "Test accuracy (%)", "95 % interval", "Size (kB)"]
    assert markdown[4] == ["student distilled", "97.0", "94.5 to 99.5", "40.0", "1.0×", "0.0", "baseline", "–"]
    assert markdown[6][4:6] == ["4.0×", "−2.0"]
    assert "student distilled & 97.0 & 94.5 to 99.5 & 40.0" in files["latex"]
    assert re.search(r"\\begin\{tabular\}\{([lr]+)\}", files["latex"])[1] == "lrlrrrlr"


def test_the_usual_columns_are_the_pages(laboratory, quickstart):
    text = documents.comparison_file(laboratory.workspace, [quickstart], "markdown").decode()
    head = markdown_rows(text)[0]
    assert "Run" not in head, "one run alone"
    assert not any(name.startswith(("GPU", "mAP", "ECE")) for name in head)
    assert head[:4] == ["Variant", "Test accuracy (%)", "95 % interval", "Verdict"]


def test_every_column_can_be_written(laboratory, quickstart):
    assert set(COLUMNS) <= set(columns.KNOWN)
    every = documents.comparison_file(laboratory.workspace, [quickstart], "html", columns=list(columns.KNOWN)).decode()
    assert [len(row) for row in Cells(every).rows] == [len(columns.KNOWN)] * 7


def test_columns_are_chosen_and_unknown_ones_refused(laboratory, quickstart):
    def asked(form, *names):
        return documents.comparison_file(laboratory.workspace, [quickstart], form, columns=names)

    assert asked("csv", "variant", "macs").splitlines()[0] == b"variant,macs"
    for form, name in (("csv", "smaller"), ("markdown", "size")):
        with pytest.raises(ValueError, match=f"no column '{name}'"):
            asked(form, name)


def test_excel_has_number_formats_and_its_head_stays(laboratory, quickstart):
    content = documents.comparison_file(
        laboratory.workspace, [quickstart], "xlsx", columns=["variant", "accuracy", "macs"]
    )
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet.freeze_panes == "A2"
    assert [cell.number_format for cell in sheet[2]] == ["General", "0.0%", "#,##0"]


def test_whole_numbers_stay_whole_beside_missing_ones(laboratory, quickstart):
    key = comparison.rows(laboratory.workspace, [quickstart])[0]["model_key"]
    path = laboratory.workspace.model(key) / "report.json"
    report = json.loads(path.read_text())
    path.write_text(json.dumps(report | {"cost": {}, "size": {}}))  # a teacher that is only a file of answers
    for name in ("csv", "csv-excel"):
        text = documents.comparison_file(laboratory.workspace, [quickstart], name).decode("utf-8-sig")
        found = list(csv.DictReader(io.StringIO(text)))
        assert [row["macs"] for row in found] == [""] + ["81000"] * 5
        assert found[1]["size_bytes"] == "40000"
    assert documents.comparison_file(laboratory.workspace, [quickstart], "xlsx")


def test_excel_knows_the_alphabet_of_its_csv():
    """By its byte order mark; else Excel reads the bytes in the country's own alphabet."""
    for name, start in (("csv", b"run"), ("csv-excel", b"\xef\xbb\xbfrun")):
        content = documents.write(pd.DataFrame({"run": ["größer"]}), name)
        assert content.startswith(start)
        assert "größer" in content.decode("utf-8-sig")


def test_latex_has_a_column_for_each_and_balanced_braces(laboratory, quickstart):
    text = documents.comparison_file(laboratory.workspace, [quickstart], "latex", columns=list(COLUMNS)).decode()
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {len(COLUMNS) - 1}
    assert len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1]) == len(COLUMNS)


@hostile
def test_csv_never_starts_a_formula(name):
    text = documents.write(frame(name), "csv").decode()
    assert len(text.splitlines()) == 3
    read = pd.read_csv(io.StringIO(text), keep_default_na=False, float_precision="round_trip")
    assert not str(read["variant"][0]).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert printable(name) in (printable(str(read["variant"][0])), printable(str(read["variant"][0])[1:]))
    assert (float(read["accuracy"][0]), int(read["size_bytes"][0])) == (0.1234567890123456, 16_384)


@hostile
def test_excel_never_holds_a_formula(name):
    sheet = openpyxl.load_workbook(io.BytesIO(documents.write(frame(name), "xlsx"))).active
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
    assert printable(str(sheet["A2"].value or "")) == printable(name)
    assert (sheet["B2"].value, sheet["C2"].value, sheet["B3"].value) == (0.1234567890123456, 16_384, None)


@hostile
def test_html_never_opens_a_tag(name):
    page = Cells(documents.write(frame(name), "html").decode())
    assert page.tags == {"html", "head", "meta", "title", "style", "body", "table", "thead", "tbody", "tr", "th", "td"}
    assert printable(page.rows[1][0]) == printable(name)
    assert [len(row) for row in page.rows] == [3, 3, 3]


@hostile
def test_markdown_never_leaves_its_cell(name):
    rows = markdown_rows(documents.write(frame(name), "markdown").decode())
    assert [len(row) for row in rows] == [3, 3, 3]
    assert not re.search(r"(?<!\\)(?:\\\\)*[<`*\[]", rows[1][0])
    assert printable(re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", rows[1][0])) == printable(name)


@hostile
def test_latex_never_runs_a_command(name):
    text = documents.write(frame(name), "latex").decode()
    (line,) = [line for line in text.splitlines() if "0.1234567890123456" in line]
    commands = set(re.findall(r"\\([a-zA-Z]+)", line))
    assert commands <= {"textbackslash", "textasciitilde", "textasciicircum", "space"}
    assert not re.findall(r"(?<!\\)[$#%_]", line.replace(r"\\", ""))
    assert len(re.findall(r"(?<!\\)&", line)) == 2


def test_an_unknown_format_names_those_that_there_are(laboratory, quickstart):
    with pytest.raises(ValueError, match="csv, csv-excel, markdown, latex, xlsx, html, json"):
        documents.comparison_file(laboratory.workspace, [quickstart], "pdf")
