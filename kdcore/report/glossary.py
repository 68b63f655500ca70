"""The terms of docs/glossary.md: what each means, and texts whose terms explain themselves."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple
from urllib.parse import quote_plus

from kdcore import paths

FILE = paths.dashboard().parent / "docs" / "glossary.md"
EVERYDAY = {
    "points", "confused", "size", "better", "worse", "equivalent", "teacher", "student", "controls", "seed", "remove",
    "pruned", "zeros", "leak", "member", "run", "stage", "stopped", "results kept", "cancelled",
}  # fmt: skip
_LEFT_ALONE = re.compile(
    r"(`[^`]*`|\$[^$]*\$|!?\[[^\]]*\]\([^)]*\)|:material/\w+:|:[\w-]+\[[^\]]*\]|^#.*$)", re.MULTILINE
)


class Term(NamedTuple):
    """`names`: one or more words that mean the same or belong together, as "entropy" and "KL divergence"."""

    section: str
    names: tuple[str, ...]
    meaning: str

    @property
    def title(self) -> str:
        return ", ".join(self.names)


@cache
def terms() -> tuple[Term, ...]:
    """All terms, in the order of the document."""
    found, section = [], ""
    for line in FILE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| ") and section != "Style":
            names, meaning, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            if names not in ("term", "---"):
                found.append(Term(section, _names(names), meaning))
    return tuple(found)


def _names(cell: str) -> tuple[str, ...]:
    """Those of a cell: "mean average precision (mAP)" has two; "gradient clipping (max norm)" and a batch size one."""
    names = []
    for part in re.split(r",\s*", cell):
        word, _, short = part.partition(" (")
        names.append(word)
        if short and (short[:-1].isupper() or short[:-1] == "mAP"):
            names.append(short[:-1])
    return tuple(names)


def explained(markdown: str) -> str:
    """The text, in which the first mention of each term links to the page Reference, with its meaning as the tooltip.

    Code, formulas, links and headings stay as they are, and so do words that everybody knows.
    """
    named = {name.lower(): term for term in terms() for name in term.names}
    known = {name: term for name, term in named.items() if len(name) > 2 and name not in EVERYDAY}
    longest_first = sorted(map(re.escape, known), key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(longest_first)})(?=s?\b)", re.IGNORECASE)
    seen: set[Term] = set()

    def link(match: re.Match[str]) -> str:
        term = known[match[1].lower()]
        if term in seen:
            return match[0]
        seen.add(term)
        meaning = term.meaning.replace('"', "'")
        return f'[{match[0]}](reference?kind=term&filter={quote_plus(term.names[0])} "{meaning}")'

    parts = _LEFT_ALONE.split(markdown)
    return "".join(part if place % 2 else pattern.sub(link, part) for place, part in enumerate(parts))
