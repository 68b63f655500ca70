"""Names are other people's words, of runs, tags, classes, files: what could act on its reader stays text."""

from __future__ import annotations

import json
import re
from typing import Any

WORD_JOINER = "\u2060"  # has no width
# Control characters, overrides of the writing direction, line separators, halves of surrogate pairs, non-characters.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_RUN, _ONE = re.compile(f"[{_UNSAFE}]+"), re.compile(f"[{_UNSAFE}]")
_ADDRESS = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)


def printable(text: str) -> str:
    """The text in one line that moves no cursor, rings no bell and turns no writing round."""
    return _RUN.sub(" ", text)


def unlinked(text: str) -> str:
    """The text so that no reader of Markdown makes a link of an address in it; it looks the same."""
    return _ADDRESS.sub(WORD_JOINER, text)


def document(value: Any) -> str:
    """JSON as a terminal may show it: what `printable` would remove is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _ONE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
