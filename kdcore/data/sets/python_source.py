"""Python's own standard library, as source text."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from kdcore import hub
from kdcore.data.texts.build import tokenizer_stamp
from kdcore.data.texts.running import EXCERPT, budgeted, excerpts, raw, tokenizer_option
from kdcore.data.traits import DatasetTraits
from kdcore.data.types import RawImages
from kdcore.problems import Problem, RecipeError
from kdcore.registry import Options, register

APART = {"test", "tests", "idle_test", "site-packages", "__pycache__", "pydoc_data", "_bundled", "this.py"}
GENERATED = ("_sysconfigdata", "config-", "__phello__")  # they differ from machine to machine
TEST_MODULES = 5  # one of so many modules is for testing
TEST_SHARE = 0.1  # of the characters of the training text


class PythonSource(Options):
    """Options of Python's source text."""

    characters: int = Field(
        240_000, ge=20_000, le=4_000_000, description="Characters of training text, validation included."
    )
    window: Literal[32, 64, 128, 256] = Field(
        64, description="Characters, or tokens, that the network sees at once, at most."
    )
    tokenizer: str = tokenizer_option()
    added: ClassVar[tuple[str, ...]] = ("tokenizer",)

    @field_validator("tokenizer")
    @classmethod
    def _place(cls, tokenizer: str) -> str:
        return hub.name_or_path(tokenizer)


def _stamp(options: PythonSource) -> str:
    return tokenizer_stamp(options.tokenizer)


@register(
    "dataset",
    "python_source",
    "Python's standard library, by characters or tokens: every next one is to be predicted",
    source="The library's source on this machine, which every Python brings along",
    options=PythonSource,
    traits=DatasetTraits(stamp=_stamp),
)
def python_source(options: PythonSource) -> RawImages:
    """A document is a module or a package folder; a fixed fifth of them is for testing. The text is cut to excerpts of
    512 characters, taken from all modules in turn until there are enough. Raises RecipeError."""
    modules = _modules(Path(sysconfig.get_path("stdlib")))
    test = {name: found for name, found in modules.items() if _number(name) % TEST_MODULES == 0}
    train = {name: found for name, found in modules.items() if name not in test}
    chosen = budgeted(train, options.characters), budgeted(test, round(options.characters * TEST_SHARE))
    if not all(chosen):
        message = "this Python brings no source of its standard library along, so there is no text to learn from"
        raise RecipeError([Problem("data.source", message)])
    train_count, test_count = (EXCERPT * sum(map(len, part.values())) for part in chosen)
    note = (
        f"{train_count:,} characters of {len(chosen[0])} modules, {test_count:,} of {len(chosen[1])} others for testing"
    )
    return raw(*chosen, options.window, options.tokenizer, notes=(note,))


def _modules(library: Path) -> dict[str, list[str]]:
    """The excerpts of each module or package, both in an order that is always the same."""
    found = {}
    for path in sorted(library.iterdir(), key=lambda path: _number(path.name)):
        if path.name in APART or path.name.startswith(GENERATED):
            continue
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.suffix == ".py" else []
        files = [file for file in files if not APART.intersection(file.relative_to(library).parts)]
        all_of_it = [one for file in files for one in excerpts(_text(file))]
        if all_of_it:
            found[path.name] = sorted(all_of_it, key=_number)
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8").expandtabs(4)
    except (OSError, UnicodeDecodeError):
        return ""


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
