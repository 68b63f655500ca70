"""`search`: limits and a tolerated loss in, the best model within them out, as a Recipe."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcore.cli.command import Add, BadInput, json_option, write
from kdcore.cli.runs import found_by_search, recipe_of, say_how_many
from kdcore.workspace import shapes
from kdcore.workspace.workspace import Workspace

_BYTES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_SECONDS = {"us": 1e-3, "ms": 1, "s": 1e3}
_COUNTS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
# A limit's name on the command line: the field that it sets, its units, an example.
LIMITS: dict[str, tuple[str, dict[str, float], str]] = {
    "size": ("size_bytes", _BYTES, "size=100kB"),
    "coded": ("coded_bytes", _BYTES, "coded=20kB"),
    "latency": ("latency_ms", _SECONDS, "latency=2ms"),
    "batch": ("batch_ms", _SECONDS, "batch=0.5ms"),
    "macs": ("macs", _COUNTS, "macs=5M"),
    "params": ("params", _COUNTS, "params=20k"),
    "memory": ("memory_mb", {"MB": 1, "GB": 1e3}, "memory=80MB"),
}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def add(command: Add) -> None:
    """Adds the command and its options to the command line."""
    parser = command("search", search, "search for the smallest, fastest or most accurate model within limits")
    parser.add_argument("experiment", metavar="PRESET|FILE.json", help="a preset's name or a recipe's file")
    parser.add_argument(
        "--at-most", action="append", default=[], metavar="LIMIT",
        help=f"a limit, such as {', '.join(example for _, _, example in LIMITS.values())}; batch is the time per "
        "example at batch 64: 0.5ms are 2,000 examples per second",
    )  # fmt: skip
    parser.add_argument("--lose-at-most", metavar="POINTS", help="maximum loss of accuracy (default: 1; any: no limit)")
    parser.add_argument(
        "--best", action="append", default=[], metavar="GOAL",
        help="accuracy (default), size or latency; give two for their trade-off",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, help="time to search (default: 10)")
    parser.add_argument("--trials", type=int, help="candidates to train (default: 30)")
    parser.add_argument("--effort", type=float, help="share of the training steps for each candidate (default: 1)")
    parser.add_argument("--halving", action="store_true", help="stop candidates that are behind after few steps")
    parser.add_argument("--seed", type=int, help="seed of the search (default: 0)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="change a recipe value: train.epochs=2"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="file for the winning recipe")
    json_option(parser)


def search(chosen: argparse.Namespace, workspace: Workspace) -> int:
    """What the search ended with, once it has ended. Raises BadInput, RecipeError."""
    from kdcore.cli import console
    from kdcore.jobs import api
    from kdcore.jobs.worker import EXIT_CODES
    from kdcore.search.request import parse

    recipe, _ = recipe_of(chosen.experiment, chosen.set)
    given = {
        name: getattr(chosen, name)
        for name in ("minutes", "trials", "effort", "seed")
        if getattr(chosen, name) is not None
    }
    asked = {"recipe": recipe.document(), "at_most": limits(chosen.at_most), "halving": chosen.halving, **given}
    if chosen.best:
        asked["best"] = chosen.best
    if chosen.lose_at_most is not None:
        asked["lose_at_most"] = _points(chosen.lose_at_most)
    run_id = api.search(workspace, parse(asked))
    say_how_many(recipe.model_copy(update={"compress": ()}), workspace.plan(run_id))
    row = console.settled(workspace, run_id)
    if row.state != "done":
        console.ending(row)
    found_by_search(workspace, run_id, as_json=chosen.json)
    if chosen.output and (found := shapes.search(workspace.run(run_id))) and (best := _winner(found)):
        write((json.dumps(best["recipe"], indent=2, ensure_ascii=False) + "\n").encode(), chosen.output)
    return EXIT_CODES[row.state]


def limits(written: Sequence[str]) -> dict[str, float]:
    """The fields of `at_most` that these limits set, such as "size=100kB". Raises BadInput."""
    found: dict[str, float] = {}
    for one in written:
        name, equals, value = one.partition("=")
        if name not in LIMITS or not equals:
            examples = ", ".join(example for _, _, example in LIMITS.values())
            raise BadInput(f"--at-most: {one!r} is no limit; write it as one of: {examples}")
        field, units, example = LIMITS[name]
        found[field] = _amount(one, value.strip(), units, example)
    return found


def _amount(one: str, value: str, units: dict[str, float], example: str) -> float:
    known = {unit.lower() if unit.lower() != "m" else unit: scale for unit, scale in units.items()}
    match = _WRITTEN.fullmatch(value)
    unit = match[2] if match else ""
    scale = units.get(unit, known.get(unit.lower()))
    if match is None or scale is None:
        accepted = ", ".join(unit or "none" for unit in units)
        raise BadInput(f"--at-most: {one!r} cannot be read; units are {accepted}: write {example}")
    amount = float(match[1]) * scale
    return round(amount) if units in (_BYTES, _COUNTS) else amount


def _points(written: str) -> float | None:
    if written == "any":
        return None
    try:
        return float(written)
    except ValueError:
        raise BadInput(f"--lose-at-most: {written!r} is no number of points; give 1, or any") from None


def _winner(found: Any) -> Any:
    return (found.get("final") or {}).get("winner")
