"""The commands that measure finished models: `bench` how fast they are, `sensitivity` which layers suffer from
compression, with a proposal for a policy, `robustness` how accurate they stay on corrupted images."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kdcore.cli import output
from kdcore.cli.command import Add, BadInput, json_option
from kdcore.problems import Problem, RecipeError
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds the commands and their options to the command line."""
    timing = command("bench", bench, "time the variants of one or more runs in one session")
    timing.add_argument("runs", nargs="+", metavar="RUN")
    timing.add_argument("--seconds", type=float, default=20.0, help="time budget of the session")
    timing.add_argument(
        "--openvino", action="store_true", help="time every file in OpenVINO too, where it is installed"
    )
    json_option(timing)
    _add_sensitivity(
        command("sensitivity", sensitivity, "measure layer sensitivity: prune or quantize each layer alone")
    )
    corrupted = command("robustness", robustness, "measure accuracy under noise, blur, contrast, pixelation and JPEG")
    corrupted.add_argument("runs", nargs="+", metavar="RUN")
    corrupted.add_argument("--images", type=int, default=2000, help="number of test examples (max)")
    json_option(corrupted)


def _add_sensitivity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run")
    parser.add_argument("variant", help="a variant of the run, such as kd")
    parser.add_argument(
        "--step",
        choices=["prune", "filters", "rank", "quantize"],
        default="prune",
        help="set single weights to zero, remove whole filters, lower the rank, or round weights",
    )
    parser.add_argument(
        "--strengths", type=float, nargs="+", default=[], help="shares to remove, shares of the rank to keep, or bits"
    )
    parser.add_argument(
        "--budget", type=float, help="propose a strength per layer for this share of the weights' bytes"
    )
    parser.add_argument("--images", type=int, default=1000, help="number of validation examples (max)")
    json_option(parser)


def bench(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """What the run that measures ended with. Raises BadInput, RecipeError, UnknownRun."""
    from kdcore.cli import console
    from kdcore.jobs import api
    from kdcore.jobs.worker import EXIT_CODES
    from kdcore.report import comparison

    if not 1 <= chosen.seconds <= 3600:
        raise BadInput(f"--seconds: {chosen.seconds} is not accepted; give 1 to 3600")
    row = console.settled(workspace, api.bench(workspace, chosen.runs, chosen.seconds, openvino=chosen.openvino))
    console.ending(row)
    if row.state == "done" and chosen.json:
        output.document(comparison.documents(workspace, chosen.runs))
    elif row.state == "done":
        console.comparison(comparison.rows(workspace, chosen.runs))
    return EXIT_CODES[row.state]


def robustness(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """0 when every variant of these runs is measured, else what the run that measures ended with. Raises RecipeError,
    UnknownRun."""
    from kdcore.cli import console
    from kdcore.jobs import api
    from kdcore.jobs.worker import EXIT_CODES
    from kdcore.report import robustness as report

    runs = list(dict.fromkeys(chosen.runs))
    row = console.settled(workspace, api.robustness(workspace, runs, chosen.images))
    if row.state != "done":
        console.ending(row)
    elif chosen.json:
        output.document({"runs": [report.document(workspace, run_id) for run_id in runs]})
    else:
        for run_id in runs:
            console.robustness(report.measured(workspace, run_id))
    return EXIT_CODES[row.state]


def sensitivity(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """0 when every layer is measured, 1 when the network cannot be changed so. Raises RecipeError."""
    if chosen.budget is not None and not 0 < chosen.budget < 1:
        raise RecipeError([Problem("--budget", f"{chosen.budget:g} is not accepted; give a share between 0 and 1")])
    if chosen.images < 1:
        raise RecipeError([Problem("--images", "at least one example is needed")])
    from kdcore.cli import console
    from kdcore.compress.step import CompressError
    from kdcore.compress.tools.sensitivity import policy, step
    from kdcore.execute import sensitivity as measuring

    def tell(name: str, done: int, of: int) -> None:
        console.say(f"layer {done} of {of}: {name}")

    try:
        document = measuring.sensitivity(
            workspace, chosen.run, chosen.variant, chosen.step, chosen.strengths, images=chosen.images, on_layer=tell
        )
        if chosen.budget is not None:
            found = policy(document, chosen.budget)
            document |= {"mixed": found, "step": step(document, found)}
    except CompressError as error:
        output.complain(error)
        return 1
    if chosen.json:
        output.document(document)
    else:
        _print_sensitivity(document)
    return 0


def _print_sensitivity(document: dict[str, Any]) -> None:
    from kdcore.cli import console
    from kdcore.compress.tools.sensitivity import BUDGETED
    from kdcore.report.format import percent

    strengths = list(dict.fromkeys(row["strength"] for row in document["rows"]))
    layers: dict[str, dict[float, float]] = {}
    for row in document["rows"]:
        layers.setdefault(row["layer"], {})[row["strength"]] = row["accuracy"]
    console.listing(
        ["layer", *(f"{strength:g}" for strength in strengths)],
        [[name, *(percent(accuracy[strength]) for strength in strengths)] for name, accuracy in layers.items()],
    )
    baseline, untouched = (percent(document[which]["accuracy"]) for which in ("baseline", "untouched"))
    output.line(
        f"uncompressed: {baseline} of {document['images']:,} validation examples ({untouched} with batch "
        "norm's own statistics)"
    )
    if mixed := document.get("mixed"):
        step = json.dumps(document["step"] or mixed["policy"])
        output.line(f"with {percent(mixed['share'])} of the {BUDGETED[document['kind']]}: {step}")
