"""JSON that people hand in, bounded before anything else looks at it.

Python's own reader, pydantic and `repr` end in a RecursionError or a bare ValueError on nesting, numbers and text
that no Recipe has; here each is refused in words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_DEPTH = 32  # lists and objects within each other; a Recipe with a sweep over steps has nine
MOST_BITS = 64


class BadJson(ValueError):
    """The text is no JSON that can be worked with; the message says why, in one line."""


class Fault(NamedTuple):
    """What nothing here can work with: the dotted path to it, and what is accepted instead."""

    path: str
    message: str


def read(text: str) -> Any:
    """What the text says. Raises BadJson."""
    try:
        return json.loads(text)
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise BadJson(f"this is not JSON: {error}") from None
    except ValueError:  # Python refuses to read numbers of thousands of digits
        raise BadJson(_TOO_LONG) from None


def fault(document: Any) -> Fault | None:
    """The first value that no field accepts and on which libraries fail; None where there is none."""
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(document, ())]
    while waiting:
        value, path = waiting.pop()
        message = _fault_of(value, len(path))
        if message:
            return Fault(".".join(_shown(part) for part in path[:3]), message)
        if isinstance(value, Mapping):
            waiting += ((name, (*path, name)) for name in value if isinstance(name, str))
            waiting += ((inner, (*path, name)) for name, inner in value.items())
        elif isinstance(value, list | tuple):
            waiting += ((inner, (*path, number)) for number, inner in enumerate(value))
    return None


_TOO_DEEP = f"more than {MOST_DEPTH} lists and objects within each other are not accepted"
_TOO_LONG = f"a whole number of more than {MOST_BITS} bits is not accepted"
_NO_TEXT = "half of a surrogate pair is not accepted: write the character itself"


def _fault_of(value: Any, depth: int) -> str | None:
    if depth > MOST_DEPTH:
        return _TOO_DEEP
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return _TOO_LONG
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        return _NO_TEXT
    return None


def _shown(part: Any) -> str:
    return str(part).encode("ascii", "backslashreplace").decode() if isinstance(part, str | int) else "?"
