"""Refusing a limit that no candidate can meet, before anything starts. No torch here: a short subprocess weighs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from kdcore import child
from kdcore.data.dataset import load
from kdcore.files import Damaged, read_json, write_json
from kdcore.plan import rules
from kdcore.problems import Problem, RecipeError
from kdcore.search.judging import WORDS
from kdcore.search.request import Search
from kdcore.search.space import Space
from kdcore.workspace.keys import digest
from kdcore.workspace.library import Library
from kdcore.workspace.workspace import Workspace

SECONDS = 300
VERSION = 1  # raise it when the same space should be weighed again


def check(workspace: Workspace, search: Search) -> None:
    """Raises RecipeError, at the limits that are below what the smallest candidate needs."""
    limits = search.at_most.given
    if not limits:
        return
    known = least(workspace, search)
    problems = [
        Problem(f"at_most.{name}", f"no candidate can be so small: the smallest {WORDS[name][0]} that this search can "
                f"make is {WORDS[name][1](known[name])}")
        for name in limits if limits[name] < known.get(name, 0)
    ]  # fmt: skip
    if problems:
        raise RecipeError(problems)


def least(workspace: Workspace, search: Search) -> dict[str, int]:
    """The smallest size, MACs and parameters of all candidates; none of a model that is not in the workspace yet."""
    original = _original(workspace, search)
    if search.recipe.start == "model" and original is None:
        return {}
    question = {
        "search": search.document()["search"],
        "cache": str(workspace.cache / "onnx"),
        "original": str(original) if original else None,
    }
    path = workspace.cache / "searches" / f"{digest([VERSION, _varied(search), question['original']])[:32]}.json"
    try:
        known: dict[str, int] = read_json(path)["least"]
        return known
    except (Damaged, OSError, KeyError, TypeError):
        found = _ask(question)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"least": found})
    return found


def _varied(search: Search) -> dict[str, Any]:
    """What the sizes of its candidates depend on."""
    recipe, corners = search.recipe.document(), list(Space(search, train_steps=1).corners())
    return {name: recipe[name] for name in ("data", "start", "student", "compress")} | {"corners": corners}


def _original(workspace: Workspace, search: Search) -> Path | None:
    """The folder of the model that a search starts from, where it is in the workspace. Raises RecipeError."""
    recipe = search.recipe
    given = rules.check(recipe, load(recipe.data.source), Library(workspace).find)
    if recipe.start != "model" or given is None:
        return None
    if given.gives != "features":
        message = "a search varies the network itself, and an ONNX file has only its graph: give its weights"
        raise RecipeError([Problem("recipe.teacher.source", message)])
    return given.place if given.as_it_is else None


def _ask(question: dict[str, Any]) -> dict[str, int]:
    try:
        done = child.run_module("kdcore.search.sketch", question=question, seconds=SECONDS)
    except subprocess.TimeoutExpired:
        return {}  # such large networks are weighed as the search goes
    if done.returncode:
        raise RecipeError([Problem("recipe", f"no candidate can be made: {child.reason(done)}")])
    found: dict[str, int] = child.answer(done)
    return found
