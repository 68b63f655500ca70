"""Names of other people on the terminal."""

from __future__ import annotations

import pytest

from kdcore.cli import console, output
from kdcore.problems import Problem, RecipeError

HOSTILE = "a\x1b[31m\x07\nb\x9b2J\u202ec\ud800"


def harmless(text):
    return all(sign == "\n" or sign.isprintable() for sign in text)


@pytest.mark.parametrize(
    "show",
    [
        lambda: console.listing(["run", "name"], [["1", HOSTILE]]),
        lambda: console.say(HOSTILE),
        lambda: output.line(HOSTILE),
        lambda: output.complain(HOSTILE),
        lambda: output.document({"name": HOSTILE}),
    ],
    ids=["listing", "say", "line", "complain", "document"],
)
def test_what_reaches_the_terminal_is_text(capsys, show):
    show()
    printed = "".join(capsys.readouterr())
    assert "a" in printed
    assert harmless(printed)


def test_an_error_is_one_line_for_each_problem(monkeypatch, capsys):
    from kdcore.cli import main

    def fail(*_):
        raise RecipeError([Problem(f"compress.{HOSTILE}", HOSTILE), Problem("name", "is too long")])

    monkeypatch.setattr("kdcore.workspace.index.Index.sync", fail)
    assert main.main(["runs"]) == 2
    printed = capsys.readouterr().err
    assert harmless(printed)
    assert len(printed.splitlines()) == 2
