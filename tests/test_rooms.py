"""The arrows between the rooms of kdcore point down only."""

import ast
from pathlib import Path

import pytest

import kdcore

ROOT = Path(kdcore.__file__).parent
# A room may import the rooms of its own rank, and of every rank below (after it).
RANKS = [
    {"cli", "__main__"},
    {"figures", "report", "jobs", "presets"},
    {"execute"},
    {"plan"},
    {"workspace"},
    {"distill", "compress", "measure", "export"},
    {"train"},
    {"models", "data"},
    {"recipe"},
    {"registry", "problems", "json_input", "machine", "paths", "files", "lazy", "__init__"},
]
# The loop trains what a method's loss says, so it knows what a method is.
EXCEPTIONS = {("train", "distill")}


def rank(room):
    return next(number for number, rooms in enumerate(RANKS) if room in rooms)


def room_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".") for name in names)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_imports_a_room_above_it(path):
    here = room_of(path)
    for name in imported(path):
        assert name[0] != "streamlit", "the engine prints to no page"
        if name[0] != "kdcore" or len(name) < 2 or (here, name[1]) in EXCEPTIONS:
            continue
        if any(name[1] in rooms for rooms in RANKS):
            assert rank(here) <= rank(name[1]), f"{here} imports {'.'.join(name)}"


def test_every_room_has_its_rank():
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms == set().union(*RANKS)
