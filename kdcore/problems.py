"""What is wrong with an input, and at which field."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple


def first_line(error: BaseException) -> str:
    """The first line of a library's message, 300 letters at most, or the error's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def explained(problem: BaseException) -> str:
    """Why a run failed, in words. The message of a failed look-up is a bare key, which says nothing by itself."""
    words = str(problem)
    if isinstance(problem, KeyError | IndexError) or not words:
        frame = traceback.extract_tb(problem.__traceback__)[-1:]
        where = f" at {Path(frame[0].filename).name}, line {frame[0].lineno}" if frame else ""
        words = (
            f"a fault in the program ({type(problem).__name__}{f': {words}' * bool(words)}{where}); log.txt has it all"
        )
    return words


class Problem(NamedTuple):
    """One thing that is wrong with a Recipe (`error`) or worth knowing before it runs (`warning`).

    `changes`: what would put it right, as dotted paths and their values; empty where that is not known.
    """

    field: str
    message: str
    severity: Literal["error", "warning"] = "error"
    changes: tuple[tuple[str, Any], ...] = ()


class RecipeError(ValueError):
    """Bad input. `problems` names each field with what is wrong and what would be accepted."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
