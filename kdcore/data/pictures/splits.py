"""Which outer folders are splits: recognised by what they hold and what they are called. Pure functions over names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from kdcore.data.pictures.names import SPLITS, TEST, TRAIN, VALIDATION, Parts, Refused

Role = Literal["train", "test", "validation"]

WORDS: dict[str, Role] = {
    **dict.fromkeys(TRAIN, "train"),
    **dict.fromkeys((*TEST, "holdout"), "test"),
    **dict.fromkeys((*VALIDATION, "eval", "evaluation", "dev"), "validation"),
}
NAMED = 4  # folders that a question names


class Splits(NamedTuple):
    """`depth`: where in a name the class folder stands. `tested`: the outer folders, as they are, for testing."""

    depth: int
    tested: frozenset[str]


def role(folder: str) -> Role | None:
    """What a folder's name says that it is for, whole or as one of its words: test, test_set, seg_test."""
    found = {WORDS[word] for word in re.findall(r"[^\W\d_]+", folder.casefold()) if word in WORDS}
    return found.pop() if len(found) == 1 else None


def splits(names: Sequence[Parts], test_folder: str = "") -> Splits | None:
    """The splits among the outer folders of `names`, or None where these are classes.

    `test_folder`: the one for testing, where a person has named it. Raises Refused where it is unclear whether they
    are splits, or which of them is for testing.
    """
    tops: dict[str, list[Parts]] = {}
    for name in names:
        if len(name) > 1:
            tops.setdefault(name[0], []).append(name)
    if test_folder:
        return Splits(_depth(tops), _chosen(tops, test_folder))
    roles = {top: role(top) for top in tops}
    if _plainly_named(tops):
        return Splits(_depth(tops), tested(roles))
    depth = _depth(tops)
    inside = {top: _folders(tops[top], depth) for top in tops}
    if _named(roles, inside):
        strange = [top for top in tops if roles[top] is None]
        if strange:
            raise Refused(f"{strange[0]}/ is next to the training and test folders: move it into them, or elsewhere")
        return Splits(depth, tested(roles))
    alike = [top for top in tops if len(inside[top]) > 1 and list(inside.values()).count(inside[top]) > 1]
    if alike:
        raise Refused(_question(alike, sorted(inside[alike[0]])))
    return None


def tested(roles: Mapping[str, Role | None]) -> frozenset[str]:
    """Those for testing: test folders, or where there is none the validation folders."""
    held_out = "test" if "test" in roles.values() else "validation"
    return frozenset(top for top, given in roles.items() if given == held_out)


def has_both(roles: Collection[Role | None]) -> bool:
    """Whether there is something to train on and something to test on."""
    return "train" in roles and bool({"test", "validation"} & set(roles))


def _plainly_named(tops: Mapping[str, Sequence[Parts]]) -> bool:
    """Whether all are called just train, test or val. Raises Refused where some are and some are not."""
    plain = [top for top in tops if top.casefold() in SPLITS]
    if not has_both([role(top) for top in plain]):
        return False
    others = [top for top in tops if top not in plain]
    if others and any(len(name) > 2 for top in plain for name in tops[top]):
        raise Refused(f"{others[0]}/ is next to the training and test folders: move it into them, or elsewhere")
    return not others


def _named(roles: Mapping[str, Role | None], inside: Mapping[str, frozenset[str]]) -> bool:
    """Whether names of several words (test_set) tell training from test folders, which share class folders."""
    filled = [inside[top] for top, given in roles.items() if given and inside[top]]
    return has_both(roles.values()) and bool(filled) and bool(frozenset.intersection(*filled))


def _chosen(tops: Mapping[str, Sequence[Parts]], test_folder: str) -> frozenset[str]:
    found = [top for top in tops if top.casefold() == test_folder.strip(" /").casefold()]
    if not found:
        raise Refused(f"there is no test folder {test_folder!r}; folders: {_listed(sorted(tops))}")
    return frozenset(found)


def _depth(tops: Mapping[str, Sequence[Parts]]) -> int:
    """Where the class folders stand: below the outer ones, and below what each of these alone holds."""
    depth = 1
    while tops and all(
        len({name[depth] for name in names}) == 1 and min(map(len, names)) > depth + 2 for names in tops.values()
    ):
        depth += 1
    return depth


def _folders(names: Sequence[Parts], depth: int) -> frozenset[str]:
    """The folders there; none where pictures lie beside them."""
    if min(map(len, names)) <= depth + 1:
        return frozenset()
    return frozenset(name[depth] for name in names)


def _question(alike: Sequence[str], folders: Sequence[str]) -> str:
    return (
        f"{_listed(alike)} contain the same folders ({_listed(folders)}): are they splits or classes? For"
        " splits, set test_folder to the name of the test folder; for classes, switch splits off"
    )


def _listed(folders: Sequence[str]) -> str:
    shown = ", ".join(f"{folder}/" for folder in folders[:NAMED])
    return shown + (f" and {len(folders) - NAMED} more" if len(folders) > NAMED else "")
