"""The arrows between the rooms of kdcore point down only, and no two files import each other."""

import ast
from functools import cache
from pathlib import Path

import pytest

import kdcore

ROOT = Path(kdcore.__file__).parent
# A room may import the rooms below it (after it) alone, in functions and for type checkers too.
ROOMS = [
    "__init__",
    "__main__",
    "api",
    "cli",
    "notebook",
    "lessons",
    "takeaway",
    "figures",
    "jobs",
    "search",
    "report",
    "tryout",
    "execute",
    "plan",
    "workspace",
    "compress",
    "distill",
    "measure",
    "train",
    "export",
    "models",
    "data",
    "inputs",
    "presets",
    "recipe",
    "registry",
    "plugins",
    "hub",
    "json_input",
    "problems",
    "child",
    "arrays",
    "files",
    "machine",
    "paths",
    "lazy",
    "version",
]
FILES = sorted(ROOT.rglob("*.py"))


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def room_of(module):
    return module.split(".")[1] if "." in module else "__init__"


def imported(path):
    """The dotted names that a file imports anywhere; of `from a import b` the module a.b where there is one, else a."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_imports_a_room_above_it(path):
    here = room_of(module_of(path))
    for name in imported(path):
        assert name.split(".")[0] != "streamlit", "the engine prints to no page"
        if name in MODULES and room_of(name) != here:
            assert ROOMS.index(here) < ROOMS.index(room_of(name)), f"{here} imports {name}"


def test_every_room_has_its_place():
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms == set(ROOMS)


def test_no_files_import_each_other_in_a_circle():
    graph = {module: {name for name in imported(path) if name in MODULES} for module, path in MODULES.items()}
    found = circle(graph)
    assert not found, " -> ".join(found)


def test_circles_are_found_and_named():
    assert circle({"a": {"b", "c"}, "b": {"d"}, "c": {"b"}, "d": set()}) == []
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]


def circle(graph):
    """The modules along some circle, the first again at its end; empty where there is none."""

    @cache
    def from_(module):
        path.append(module)
        for name in sorted(graph[module]):
            if name in path:
                return [*path[path.index(name) :], name]
            if found := from_(name):
                return found
        path.pop()
        return []

    path: list[str] = []
    return next(filter(None, map(from_, sorted(graph))), [])
