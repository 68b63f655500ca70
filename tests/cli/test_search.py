"""`search`: units in, a winner and its Recipe out."""

import json
import shutil

import pytest

from kdcore.cli import console, main
from kdcore.cli.command import BadInput
from kdcore.cli.search import limits
from kdcore.search import smallest
from kdcore.workspace.index import Index
from tests.search.conftest import STEPS, carry_out, searched  # noqa: F401
from tests.small import CUTS


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ("size=100kB", "size_bytes", 100_000),
        ("size=1.5MB", "size_bytes", 1_500_000),
        ("size=900", None, None),
        ("coded=20KB", "coded_bytes", 20_000),
        ("latency=2ms", "latency_ms", 2),
        ("latency=300us", "latency_ms", 0.3),
        ("batch=0.5ms", "batch_ms", 0.5),
        ("macs=5M", "macs", 5_000_000),
        ("params=20k", "params", 20_000),
        ("params=20000", "params", 20_000),
        ("memory=80MB", "memory_mb", 80),
        ("size", None, None),
        ("weight=3kg", None, None),
        ("latency=2kB", None, None),
        ("size=-1kB", None, None),
    ],
)
def test_limits_have_units_and_what_cannot_be_read_is_said(written, field, value):
    if field is None:
        with pytest.raises(BadInput, match=written.partition("=")[0]):
            limits([written])
    else:
        assert limits([written]) == {field: pytest.approx(value)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--at-most", "size=1kg"], "write size=100kB"),
        ([], "at_most"),
        (["--at-most", "size=9kB", "--best", "beauty"], "best.0"),
        (["--at-most", "size=9kB", "--lose-at-most", "some"], "--lose-at-most"),
    ],
)
def test_bad_input_is_one_line(options, said, capsys):
    assert main.main(["search", "quickstart", *options]) == 2
    assert said in capsys.readouterr().err


def test_show_prints_the_candidates_and_the_outcome(searched, monkeypatch, capsys):  # noqa: F811
    workspace, run, found = searched
    monkeypatch.setenv("KDCORE_HOME", str(workspace.root))
    assert main.main(["show", run]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert found["final"]["winner"]["label"] in told
    assert "Control: " in told
    assert main.main(["show", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["final"]["words"] == found["final"]["words"]


def test_the_winning_recipe_is_written_to_a_file(searched, tmp_path, monkeypatch, capsys):  # noqa: F811
    """The command itself, but for the worker, which this process is."""
    made, _, found = searched
    home = shutil.copytree(made.root, tmp_path / "w", ignore=shutil.ignore_patterns("index.sqlite*"))
    monkeypatch.setenv("KDCORE_HOME", str(home))
    monkeypatch.setattr(console, "settled", done)
    monkeypatch.setattr(smallest, "least", lambda workspace, search: {})
    cuts = [word for cut in (*CUTS, *STEPS) for word in ("--set", cut)]
    options = ["--at-most", "size=6kB", "--lose-at-most", "any", "--trials", "3", "-o", str(tmp_path / "best.json")]
    assert main.main(["search", "quickstart", *cuts, *options]) == 0
    assert "test images, an accuracy of 90.0 % has a 95 % interval" in capsys.readouterr().err
    assert json.loads((tmp_path / "best.json").read_text())["student"] == found["final"]["winner"]["recipe"]["student"]


def done(workspace, run):
    """The run's row, once it has finished."""
    carry_out(workspace, run)
    index = Index(workspace)
    index.sync()
    return index.run(run)
