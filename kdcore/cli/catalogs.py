"""The commands that list what can be chosen: presets, and the entries of every registry."""

from __future__ import annotations

import argparse

from kdcore.cli import output
from kdcore.cli.command import Add, json_option
from kdcore.workspace.workspace import Workspace

CATALOGS = {
    "datasets": "dataset",
    "models": "architecture",
    "methods": "method",
    "schemes": "scheme",
    "teachers": "teacher",
    "steps": "step",
}


def add(command: Add) -> None:
    """Adds the commands to the command line."""
    json_option(command("presets", presets, "list all presets"))
    for name in CATALOGS:
        json_option(command(name, catalog, f"list all {name}"))


def presets(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints every preset and what it shows; as JSON with its Recipe."""
    from kdcore.presets import presets

    if chosen.json:
        names = ("name", "title", "summary", "look_for")
        output.document(
            [
                {name: getattr(preset, name) for name in names} | {"recipe": preset.recipe.document()}
                for preset in presets()
            ]
        )
        return
    from kdcore.cli import console

    console.listing(["preset", "what it shows"], [[preset.name, preset.summary] for preset in presets()])


def catalog(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Prints the entries of one kind and their options."""
    from kdcore import registry

    kind = CATALOGS[chosen.name]
    entries = registry.catalog(kind)
    columns = {kind: "name", "what it is": "description", "options": "options"}
    if kind == "dataset":
        from kdcore.data.fetch import here

        entries = [entry | here(entry["name"]) for entry in entries]
        columns["on this machine"] = "here"
    if chosen.json:
        output.document(entries)
        return
    from kdcore.cli import console

    rows = [
        [", ".join(cell) if isinstance(cell := entry[key], dict) else cell for key in columns.values()]
        for entry in entries
    ]
    console.listing(list(columns), rows)
