"""Every text of the product that a person reads, and the phrases that none of them may hold (docs/glossary.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
CODE = re.compile(r"[a-z0-9_./:\-]*|[A-Z0-9_]+")
CITED = re.compile(r"`[^`]*`")  # names and codes, in documents
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Text(NamedTuple):
    where: str
    text: str


def banned() -> tuple[str, ...]:
    """The phrases of the glossary's column "not"."""
    rows = [line.strip("| \n").split("|") for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("|")]
    cells = [row[2] for row in rows if len(row) == 3 and row[2].strip() not in ("not", "---")]
    return tuple(phrase for cell in cells for phrase in map(str.strip, cell.split("·")) if phrase)


def offences(texts: Iterator[Text]) -> list[str]:
    """The texts that hold a banned phrase, each with its place and the phrase."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(phrase)}(?!\w)" for phrase in banned()), re.IGNORECASE)
    return [f"{one.where}: {found[0]!r} in {one.text[:100]!r}" for one in texts for found in pattern.finditer(one.text)]


def texts() -> Iterator[Text]:
    """String literals of the program (not docstrings and identifiers), presets, README and documents."""
    for path in sorted(
        [*(ROOT / "pages").rglob("*.py"), *(ROOT / "kdcore").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    ):
        yield from strings(path.read_text("utf-8"), str(path.relative_to(ROOT)))
    documents = [*(ROOT / "kdcore" / "presets").glob("*.json"), *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for path in documents:
        if path not in (GLOSSARY, ROOT / "CHANGELOG.md"):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                yield Text(f"{path.relative_to(ROOT)}:{number}", CITED.sub("", line))


def strings(source: str, name: str) -> Iterator[Text]:
    """The literals that are not identifiers, paths or codes; what an f-string puts in is left out."""
    tree = ast.parse(source)
    hidden = {id(node) for parent in ast.walk(tree) for node in _not_shown(parent)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in hidden else None
        if isinstance(text, str) and not CODE.fullmatch(text):
            yield Text(f"{name}:{node.lineno}", text)


def _not_shown(node: ast.AST) -> list[ast.AST]:
    """Docstrings."""
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        return [node.body[0].value]  # type: ignore[attr-defined]
    return []
