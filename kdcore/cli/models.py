"""The commands about finished models: `show --layers` tells what each layer holds; `sensitivity` which of them mind
compression, and proposes a policy; `robustness` how accurate the models of runs stay on corrupted images."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from kdcore.cli import output
from kdcore.problems import Problem, RecipeError
from kdcore.workspace.workspace import Workspace


def add(
    command: Callable[..., argparse.ArgumentParser], json_option: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Adds the commands and their options to the command line."""
    made = command("sensitivity", sensitivity, "prune or quantize each layer alone and see what it costs")
    made.add_argument("run")
    made.add_argument("variant", help="a row of the run's table, such as kd")
    made.add_argument(
        "--step",
        choices=["prune", "filters", "quantize"],
        default="prune",
        help="set single weights to zero, silence whole filters, or round weights",
    )
    made.add_argument("--strengths", type=float, nargs="+", default=[], help="shares to prune, or bits")
    made.add_argument("--budget", type=float, help="propose a strength by layer: share of the weights' bytes")
    made.add_argument("--images", type=int, default=1000, help="validation images, at most")
    json_option(made)
    made = command("robustness", robustness, "measure accuracy under noise, blur, contrast, pixelation and JPEG")
    made.add_argument("runs", nargs="+", metavar="RUN")
    made.add_argument("--images", type=int, default=2000, help="test images, at most")
    json_option(made)


def robustness(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """0 when every variant of these runs is measured, else what the run that measures ended with. Raises RecipeError,
    UnknownRun."""
    from kdcore.cli import console
    from kdcore.jobs import api
    from kdcore.jobs.worker import EXIT_CODES
    from kdcore.report import robustness as report

    runs = list(dict.fromkeys(chosen.runs))
    run_id = api.robustness(workspace, runs, chosen.images)
    row = console.settled(workspace, run_id)
    if row.state != "done":
        console.say(f"{run_id}: {row.state}" + (f": {row.error}" if row.error else ""))
    elif chosen.json:
        output.document({"runs": [report.document(workspace, one) for one in runs]})
    else:
        for one in runs:
            console.robustness(report.measured(workspace, one))
    return EXIT_CODES[row.state]


def layers(chosen: argparse.Namespace, workspace: Workspace) -> bytes:
    """The layers of a run's variant in the format that was asked for. Raises UnknownRun, RecipeError."""
    from kdcore.report.layers import inside, layers_file

    if chosen.json and chosen.format not in (None, "json"):
        message = f"{chosen.format} is not what --json asks for; leave one of them out"
        raise RecipeError([Problem("--format", message)])
    found = inside(workspace, chosen.run, chosen.layers, field="--layers")
    return layers_file([found], chosen.format or ("json" if chosen.json else "markdown"))


def sensitivity(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """0 when every layer is measured, 1 when the network cannot be changed so. Raises RecipeError."""
    if chosen.budget is not None and not 0 < chosen.budget < 1:
        raise RecipeError([Problem("--budget", f"{chosen.budget:g} is not accepted; give a share between 0 and 1")])
    if chosen.images < 1:
        raise RecipeError([Problem("--images", "at least one image is needed")])
    from kdcore.cli import console
    from kdcore.compress.material import CompressError
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
        _print(document)
    return 0


def _print(document: dict[str, Any]) -> None:
    from kdcore.cli import console
    from kdcore.compress.tools.sensitivity import BUDGETED

    strengths = list(dict.fromkeys(row["strength"] for row in document["rows"]))
    layers: dict[str, dict[float, float]] = {}
    for row in document["rows"]:
        layers.setdefault(row["layer"], {})[row["strength"]] = row["accuracy"]
    untouched, baseline = (100 * document[which]["accuracy"] for which in ("untouched", "baseline"))
    console.listing(
        ["layer", *(f"{strength:g}" for strength in strengths)],
        [[name, *(f"{100 * found[strength]:.1f} %" for strength in strengths)] for name, found in layers.items()],
    )
    output.line(
        f"no layer changed: {baseline:.1f} % of {document['images']} validation images "
        f"({untouched:.1f} % with batch norm's own statistics)"
    )
    if mixed := document.get("mixed"):
        step = json.dumps(document["step"] or mixed["policy"])
        output.line(f"with {100 * mixed['share']:.1f} % of the {BUDGETED[document['kind']]}: {step}")
