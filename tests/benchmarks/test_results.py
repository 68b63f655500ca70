"""A benchmark's section in docs/: replaced where it stands."""

import sys

import pytest

from benchmarks import results

PAGE = "# Results\n\n## First\n\nold figures\n\n| a |\n| --- |\n\n## First of all\n\nothers\n"


@pytest.fixture
def docs(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "DOCS", tmp_path)
    (tmp_path / results.RESULTS).write_text(PAGE, "utf-8")
    return tmp_path / results.RESULTS


def headings(page):
    return [line for line in page.read_text("utf-8").splitlines() if line.startswith("#")]


def test_a_section_is_replaced_where_it_stands(docs, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--write"])
    for figures in (r"new \1 figures", "newer figures"):
        results.publish("First", "command", figures)
    assert headings(docs) == ["# Results", "## First", "## First of all"]
    assert "newer figures\n\n## First of all\n\nothers\n" in docs.read_text("utf-8")
    assert "old figures" not in docs.read_text("utf-8")
    assert r"\1" not in docs.read_text("utf-8")


def test_a_new_section_goes_to_the_end(docs, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--write"])
    results.publish("Second", "command", "figures")
    assert headings(docs) == ["# Results", "## First", "## First of all", "## Second"]


def test_without_write_the_page_stays(docs, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark"])
    results.publish("First", "command", "figures")
    assert docs.read_text("utf-8") == PAGE
    assert "figures" in capsys.readouterr().out
