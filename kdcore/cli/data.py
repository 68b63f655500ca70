"""The commands about data: `fetch` makes a data set ready, `soften` writes a teacher's answers about one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from kdcore import json_input
from kdcore.cli import output
from kdcore.cli.command import Add, json_option
from kdcore.problems import Problem, RecipeError
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds both commands and their options to the command line."""
    fetched = command("fetch", fetch, "download and prepare a data set")
    fetched.add_argument("source", metavar="NAME|JSON", help='cifar10, or {"dataset": "cifar10", "classes": 5}')
    json_option(fetched)
    soft = command("soften", soften, "write a teacher's outputs for every example of a data set to a soft-label file")
    soft.add_argument("source", metavar="RUN[/VARIANT]|KEY|sklearn:forest|sklearn:svm", help="the teacher")
    soft.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.npz", help="the file to write")
    soft.add_argument("--data", metavar="NAME|JSON", help="data set; default: that of the run, else digits")
    soft.add_argument(
        "--validation", type=float, default=0.1, help="share of the examples that sklearn's models are not trained on"
    )
    json_option(soft)


def fetch(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """0 when the data set is ready, 1 when it could not be fetched. Raises RecipeError."""
    from kdcore.cli import console
    from kdcore.data.download import FetchFailed
    from kdcore.data.fetch import status
    from kdcore.recipe import parse

    source = parse({"data": {"source": named(chosen.source, "source")}}).data.source
    try:
        dataset = console.fetching(source)
    except FetchFailed as error:
        output.complain(error)
        return 1
    summary = {"name": dataset.name, "classes": len(dataset.classes), "shape": dataset.shape}
    summary |= {
        "train": len(dataset.train_labels),
        "test": len(dataset.test_labels),
        "fingerprint": dataset.fingerprint,
    }
    if chosen.json:
        output.document(summary)
        return 0
    output.line("{name}: {train} training and {test} test examples, {classes} classes".format(**summary))
    if note := status(source).message:
        console.say(note)
    return 0


def soften(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Writes a soft-label file and says how good the teacher is. Raises RecipeError."""
    from kdcore.execute import soften as softening
    from kdcore.report import format

    data = None if chosen.data is None else named(chosen.data, "--data")
    about = softening.about(workspace, chosen.source, data, chosen.validation)
    done = softening.soften(workspace, chosen.source, chosen.output, about)
    if chosen.json:
        output.document(done._asdict())
        return
    right = f"test accuracy {format.percent(done.accuracy)}"
    output.line(f"{done.file}: {done.images} examples, from {done.source}, {right}")


def named(text: str, field: str) -> Any:
    """What `NAME|JSON` says. Raises RecipeError."""
    try:
        return json_input.read(text) if text.startswith("{") else text
    except json_input.BadJson as error:
        raise RecipeError([Problem(field, f"{text[:80]} cannot be read: {error}")]) from None
