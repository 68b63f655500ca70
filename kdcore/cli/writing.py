"""The command that lets language models write on: `continue`."""

from __future__ import annotations

import argparse

from kdcore.cli import output
from kdcore.cli.command import Add, BadInput, json_option
from kdcore.workspace.workspace import Workspace

MOST = 10_000


def add(command: Add) -> None:
    """Adds the command and its options to the command line."""
    parser = command("continue", write_on, "let the language models of a run continue a text")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("beginning", help="the text that they continue")
    parser.add_argument("--characters", type=int, default=200, help=f"how many they write (max {MOST:,})")
    parser.add_argument("--temperature", type=float, default=0.7, help="0: always the most probable character")
    parser.add_argument("--seed", type=int, default=0)
    json_option(parser)


def write_on(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints what each variant writes. Raises BadInput, UnknownRun, Damaged."""
    from kdcore.cli import console
    from kdcore.export import runtime
    from kdcore.report.comparison import rows
    from kdcore.report.format import significant
    from kdcore.tryout.writing import tokenizer_of, written

    _check(chosen)
    plan = workspace.plan(chosen.run)
    folder = workspace.dataset(plan.dataset["fingerprint"])
    tokenizer = tokenizer_of(folder) if (folder / "info.json").is_file() else None
    if tokenizer is None:
        raise BadInput(f"{chosen.run} has no language models: only those continue a text")
    found = []
    for row in rows(workspace, [chosen.run]):
        model = runtime.session(workspace.model(row["model_key"]) / "model.onnx")
        one = written(
            model, tokenizer, chosen.beginning, chosen.characters, temperature=chosen.temperature, seed=chosen.seed
        )
        found.append({"variant": row["variant"], "text": one.text, "characters_per_s": one.pace})
    if chosen.json:
        output.document({"run": chosen.run, "beginning": chosen.beginning, "variants": found})
        return
    for sample in found:
        console.say(f"{sample['variant']}, {significant(sample['characters_per_s'])} characters/s")
        for line in f"{chosen.beginning}{sample['text']}\n".split("\n"):
            output.line(line)


def _check(chosen: argparse.Namespace) -> None:
    if not chosen.beginning:
        raise BadInput("the beginning is empty: give one character at least")
    if not 1 <= chosen.characters <= MOST:
        raise BadInput(f"--characters: {chosen.characters} is not accepted; give 1 to {MOST}")
    if not 0 <= chosen.temperature <= 5:
        raise BadInput(f"--temperature: {chosen.temperature:g} is not accepted; give 0 to 5")
