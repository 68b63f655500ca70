"""Damaged files and hostile inputs, one by one, in front of the real commands, workers and pages: what came of it.

The corpus is tests/damage/; `make test` runs a sample of each kind. Where Slurm or Ray is installed, one of its nodes
vanishes too (`--kind node`), a fault of its own with a table of its own.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks import lost_nodes
from benchmarks.results import table
from kdcore import machine
from tests.damage import corpus, inputs, trials
from tests.damage.trials import Found, Place

PATH = Path(__file__).parent.parent / "docs" / "reliability.md"
MARKED = r"(?<=<!-- {} -->\n).*?(?=<!-- end -->)"  # of this name
RUN_FILES = ("meta.json", "status.json", "result.json", "plan.json", "recipe.json")
MODEL_FILES = ("done.json", "report.json", "architecture.json", "model.onnx", "model.safetensors", "logits.npz",
               "history.jsonl")  # fmt: skip
CHECKPOINT_FILES = ("checkpoint/progress.json", "checkpoint/state-*.safetensors", "history.jsonl")
OPENED = ("done.json", "checkpoint/progress.json")  # of these each damage of JSON is tried
JOBS = 2
COLUMNS = ("tracebacks", "other runs hidden", "recipes permanently broken", "silently wrong")


class Case(NamedTuple):
    """`needs`: the place that it is tried in, by its number; see `trials.make`."""

    kind: str
    name: str
    trial: Callable[..., Found]
    needs: int | None = 0


def cases() -> Iterator[Case]:
    """The whole corpus, kind by kind."""
    for file in RUN_FILES:
        for name, damage in corpus.JSON_DAMAGES.items():
            yield Case("a run's files", f"{file}: {name}", partial(trials.of_run, file=file, damage=damage))
    for name, damage in corpus.EVENT_DAMAGES.items():
        yield Case("a run's events", name, partial(trials.of_run, file="events.jsonl", damage=damage))
    for name, damage in corpus.INDEX_DAMAGES.items():
        yield Case("the index", name, partial(trials.of_index, damage=damage))
    for name, (place, damage) in inputs.FOLDERS.items():
        yield Case("strange things among the runs", name, partial(trials.of_folder, name=place, damage=damage))
    for kind, files, trial, needs in (
        ("a finished model's files", MODEL_FILES, trials.of_model, 0),
        ("a checkpoint", CHECKPOINT_FILES, trials.of_checkpoint, 1),
    ):
        for file in files:
            for name, damage in (corpus.JSON_DAMAGES if file in OPENED else corpus.BINARY_DAMAGES).items():
                yield Case(kind, f"{file}: {name}", partial(trial, file=file, damage=damage), needs)
    yield from _inputs()


def _inputs() -> Iterator[Case]:
    for name, text in inputs.RECIPES.items():
        yield Case("recipes", name, partial(trials.of_recipe, text=text))
    for name, text in inputs.ASSIGNMENTS.items():
        yield Case("recipes", f"--set: {name}", partial(trials.of_assignment, assignment=text))
    for name, text in inputs.NAMES.items():
        yield Case("names", name, partial(trials.of_name, name=text))
    for suffix in (".safetensors", ".pt"):
        for name, change in inputs.WEIGHTS.items():
            yield Case("weights files", f"{suffix}: {name}", partial(trials.of_weights, change=change, suffix=suffix))
    for name, content in inputs.ONNX.items():
        yield Case("ONNX files", name, partial(_onnx, content), None)
    for page, parameters in inputs.LINKS.items():
        for value in inputs.PARAMETERS if parameters else ():
            trial = partial(trials.of_link, page=page, parameters=parameters, value=value)
            yield Case("links", f"{page}: {value[:20]!r}", trial)


def _onnx(content: Callable[[], bytes]) -> Found:
    return trials.of_onnx(content())


def tried(case: Case, places: tuple[Place, Place]) -> Found:
    """What was found. A trial that cannot be made counts as a traceback."""
    try:
        return case.trial() if case.needs is None else case.trial(places[case.needs])
    except Exception as problem:
        return Found(f"of the trial itself: {problem!r}"[:200])


def _tried(number: int, places: tuple[Place, Place]) -> Found:
    return tried(list(cases())[number], places)  # a case cannot be sent to another process, its number can


def all_tried(kind: str) -> Iterator[tuple[Case, Found]]:
    """The cases whose kind matches, in processes side by side."""
    chosen = {number: case for number, case in enumerate(cases()) if re.search(kind, case.kind)}
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        places = trials.make(Path(folder))
        yield from zip(chosen.values(), pool.map(partial(_tried, places=places), chosen), strict=True)


def bad(found: Found) -> list[str]:
    """What went wrong, in words; nothing where all is well."""
    return [
        *([f"traceback: {found.traceback}"] if found.traceback else []),
        *(name for name, yes in zip(COLUMNS[1:], found[1:], strict=True) if yes),
    ]


def report(results: list[tuple[Case, Found]]) -> str:
    """The table by kind, and a line for each case that went wrong."""
    lines = []
    for kind in [*dict.fromkeys(case.kind for case, _ in results), None]:
        found = [one for case, one in results if kind in (case.kind, None)]
        lines.append([kind or "**all**", str(len(found)), *(_count(found, place) for place in range(len(COLUMNS)))])
    wrong = [f"- {case.kind}, {case.name}: {'; '.join(bad(found))}" for case, found in results if bad(found)]
    return table(["kind", "tried", *COLUMNS], lines) + ("\n\nWhat went wrong:\n\n" + "\n".join(wrong) if wrong else "")


def _count(found: list[Found], place: int) -> str:
    """How many; a dash where the question never arises."""
    answers = [one[place] for one in found]
    return "–" if place and all(answer is None for answer in answers) else str(sum(bool(answer) for answer in answers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument("--kind", default="", help="only the kinds whose name matches this")
    asked = parser.parse_args()
    if any(re.search(asked.kind, case.kind) for case in cases()):
        damages(asked.kind, write=asked.write)
    if re.search(asked.kind, lost_nodes.KIND):
        published("nodes", lost_nodes.report, "--kind node", write=asked.write)


def damages(kind: str, *, write: bool) -> None:
    """Tries the cases of these kinds, and tells of what goes wrong at once."""
    published("gauntlet", lambda: report(list(_told(kind))), f"--kind {kind}" if kind else "", write=write)


def _told(kind: str) -> Iterator[tuple[Case, Found]]:
    for case, found in all_tried(kind):
        if problems := bad(found):
            print(f"{case.kind}, {case.name}: {'; '.join(problems)}", flush=True)
        yield case, found


def published(name: str, measured: Callable[[], str], options: str, *, write: bool) -> None:
    """Prints what is measured with its origin, and puts it into docs/reliability.md."""
    started = time.perf_counter()
    found = measured()
    command = f"python -m benchmarks.gauntlet {options}".strip()
    minutes = (time.perf_counter() - started) / 60
    origin = f"`{command}`, {time.strftime('%Y-%m-%d')}, on {machine.describe()['summary']}, in {minutes:.0f} minutes"
    body = f"{origin}; load average over cores at the end {machine.crowding():.1f}.\n\n{found}\n"
    print(body)
    if write:
        marked = re.compile(MARKED.format(name), re.DOTALL)
        PATH.write_text(marked.sub(lambda _: body, PATH.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    # A page that is tried becomes __main__, so other processes find these functions by the module's name.
    from benchmarks import gauntlet  # noqa: PLW0406

    gauntlet.main()
