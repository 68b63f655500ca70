"""The installed libraries, against what this code allows and what its lock names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kdcore.paths import CHECKOUT, is_checkout

PINNED = re.compile(r"^[A-Za-z0-9][^ #]*==[^\\\n]+", re.MULTILINE)


class Difference(NamedTuple):
    """A library whose installed version (None: it is missing) is not among the `wanted` ones."""

    name: str
    installed: str | None
    wanted: str

    def __str__(self) -> str:
        return f"{self.name} {self.installed or 'is missing'} ({self.wanted})"


def allowed() -> list[Requirement]:
    """The ranges that `pyproject.toml`, or an installed wheel's metadata, allows."""
    if is_checkout():
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
        return [Requirement(line) for line in project["dependencies"]]
    named = [Requirement(line) for line in metadata.requires("kdcore") or ()]
    return [one for one in named if not one.marker or one.marker.evaluate({"extra": ""})]


def locked() -> list[Requirement]:
    """What the checkout's `requirements.txt` names for this Python and system; a wheel has no lock."""
    lock = CHECKOUT / "requirements.txt"
    if not is_checkout() or not lock.is_file():
        return []
    named = [Requirement(line) for line in PINNED.findall(lock.read_text("utf-8"))]
    return [one for one in named if not one.marker or one.marker.evaluate()]


def installed() -> dict[str, str]:
    """The version of every library that this Python finds, by its canonical name."""
    found = metadata.distributions()
    return {canonicalize_name(one.metadata["Name"]): one.version for one in found if one.metadata["Name"]}


def differences(wanted: Iterable[Requirement], versions: Mapping[str, str]) -> list[Difference]:
    """Those of `wanted` that are missing in `versions` or have a version that does not match."""
    found = [(one, versions.get(canonicalize_name(one.name))) for one in wanted]
    return [
        Difference(one.name, version, str(one.specifier))
        for one, version in found
        if version is None or not one.specifier.contains(version, prereleases=True)
    ]
