"""What every command needs: how it is added, what its exit codes mean, and how it prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from kdcore.workspace.workspace import Workspace

DONE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130

# A command takes what the parser found, and returns its exit code; None is DONE.
Command = Callable[[argparse.Namespace, Workspace], int | None]
# Adds a command by name, function and help text, and returns its parser. A group of commands is a module with
# `add(command: Add)`.
Add = Callable[[str, Command, str], argparse.ArgumentParser]


class BadInput(ValueError):
    """Input that cannot be used; the message says what can."""


def json_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--json` to a command."""
    parser.add_argument("--json", action="store_true", help="print a single JSON document")


def write(content: bytes, output: Path | None) -> None:
    """To the file, or as text to standard output. Raises BadInput where it cannot be written."""
    if not output:
        sys.stdout.write(content.decode())
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}") from None
