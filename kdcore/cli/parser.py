"""All commands and their options, a module for each group of commands."""

from __future__ import annotations

import argparse
from typing import NoReturn

from kdcore.cli import app, catalogs, data, measurements, queue, runs, search, takeaway, upkeep, writing
from kdcore.cli.command import BAD_INPUT, Command
from kdcore.version import VERSION

GROUPS = (catalogs, app, data, runs, search, takeaway, queue, measurements, writing, upkeep)  # in the order of the help


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; what it returns has the chosen command's function as `command`."""
    top = _Parser(prog="python -m kdcore", description="Distil, compress and measure classifiers of images and texts.")
    top.add_argument("--version", action="version", version=f"kdcore {VERSION}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command, name=name)
        return added

    for group in GROUPS:
        group.add(add)
    return top
