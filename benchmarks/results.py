"""docs/results.md and docs/scale.md: one section a benchmark, each replaced as a whole."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

from kdcore import machine

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, SCALE = "results.md", "scale.md"
LIBRARIES = ("python", "torch", "onnxruntime", "streamlit")
HEAD = "# Results\n\nWhat was measured, with the command that measures it again. Figures that fall short stay.\n"


def publish(title: str, command: str, body: str, page: str = RESULTS) -> None:
    """Prints the section, and puts it into this page of docs/ when `--write` is among the arguments."""
    parser = argparse.ArgumentParser(description=f"{title}: prints a section of docs/{page}")
    parser.add_argument("--write", action="store_true", help=f"put the section into docs/{page}")
    chosen, _ = parser.parse_known_args()
    about = machine.describe()
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in LIBRARIES)
    origin = f"`{command}`, {time.strftime('%Y-%m-%d')}, on {about['summary']}; {versions}."
    section = f"## {title}\n\n{origin}\n\n{body.strip()}\n"
    print(section)
    if chosen.write:
        _replace(DOCS / page, title, section)


def _replace(path: Path, title: str, section: str) -> None:
    """A section keeps its place on the page; a new one goes to the end."""
    text = path.read_text("utf-8") if path.exists() else HEAD
    there = re.compile(rf"(?<=\n)## {re.escape(title)}\n.*?(?=\n## |\Z)", re.DOTALL)
    text, found = there.subn(lambda _: section, text)
    path.write_text(text if found else f"{text.rstrip()}\n\n{section}", "utf-8")


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; all columns but the first to the right."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join([" --- "] + [" ---: "] * (len(columns) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
