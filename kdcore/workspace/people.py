"""The people of a class, in `people/<id>/person.json`, and the codes that let them in, in `people/codes.json`.

Only the owner of the workspace can read the folder. A code is compared in constant time; of what a browser keeps to be
known again only the hash is stored.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcore.files import Damaged, lock, read_json, write_json
from kdcore.workspace import settings
from kdcore.workspace.access import Person, Role
from kdcore.workspace.workspace import Workspace

MOST_PEOPLE = 1000
LONGEST_NAME = 60
SHORTEST_CODE = 8
KEPT_SECONDS = 30 * 86400  # that a browser stays signed in
MOST_BROWSERS = 5
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none looks like another
_ID = re.compile("[0-9a-f]{12}")


class NotAdmitted(ValueError):
    """Somebody is not let in; the message says why. `guessed`: a code was wrong."""

    def __init__(self, reason: str, *, guessed: bool = False):
        super().__init__(reason)
        self.guessed = guessed


class Codes(NamedTuple):
    """What lets students in, and what lets lecturers in."""

    code: str
    manage: str


class Known(BaseModel):
    """A person as they are kept. `back`: the code with which they are known again in another browser. `role`: None for
    the one of the settings. `browsers`: hashes of what theirs keep, each with the time."""

    model_config = ConfigDict(extra="ignore", strict=True)
    name: str = Field(min_length=1, max_length=LONGEST_NAME + 8)
    role: Role | None = None
    created: float
    back: str
    browsers: dict[str, float] = {}


class Admitted(NamedTuple):
    """Who was let in, and `token`, which the browser keeps. `namesake`: somebody else has the name that was given."""

    person: Person
    token: str
    namesake: bool = False


def codes(workspace: Workspace) -> Codes:
    """The codes of this workspace; new ones where there are none. Raises Damaged, also for a code that is too short."""
    path = _folder(workspace) / "codes.json"
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"schema": 1, "code": _code(8), "manage": _code(12)}, file)
    except FileExistsError:
        path.chmod(0o600)
    document = read_json(path)
    try:
        found = Codes(*(str(document[name]) for name in Codes._fields))
    except (KeyError, TypeError):
        raise Damaged(path, "is invalid: it needs `code` and `manage`") from None
    if min(map(len, map(_typed, found))) < SHORTEST_CODE or _typed(found.code) == _typed(found.manage):
        raise Damaged(path, f"is invalid: two different codes of at least {SHORTEST_CODE} letters are needed")
    return found


def clean(name: str) -> str:
    """A name as it is kept: one line without control characters. Raises NotAdmitted."""
    shown = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in name[: 20 * LONGEST_NAME])
    shown = " ".join(unicodedata.normalize("NFC", shown).split())
    if not any(one.isalnum() for one in shown):
        raise NotAdmitted("Give your name: at least one letter")
    if len(shown) > LONGEST_NAME:
        raise NotAdmitted(f"The name is too long: at most {LONGEST_NAME} letters")
    return shown


def admit(workspace: Workspace, code: str, name: str, back: str = "") -> Admitted:
    """Lets somebody in who knows a code: as whom they were with their own code `back`, else as somebody new.

    Raises NotAdmitted, Damaged.
    """
    right = codes(workspace)
    student, lecturer = _same(code, right.code), _same(code, right.manage)
    if not (student or lecturer):
        raise NotAdmitted("The class code is wrong", guessed=True)
    name = clean(name)
    with lock(_folder(workspace) / "lock"):
        known = everybody(workspace)
        namesakes = {_folded(one.name) for one in known.values()}
        if back.strip():
            found = next((i for i, one in known.items() if _folded(one.name) == _folded(name)), None)
            if found is None or not _same(back, known[found].back):
                raise NotAdmitted("Name and own code do not belong together", guessed=True)
            return _welcome(workspace, found, known[found])
        if len(known) >= MOST_PEOPLE:
            raise NotAdmitted(f"The class is full: it has {MOST_PEOPLE} people")
        free = next(one for one in _numbered(name) if _folded(one) not in namesakes)
        new = Known(name=free, role="manage" if lecturer else None, created=time.time(), back=_code(8))
        return _welcome(workspace, secrets.token_hex(6), new)._replace(namesake=free != name)


def enter(workspace: Workspace, identity: str, name: str, address: str) -> Person:
    """Somebody whom a provider has identified (OIDC): `identity` is theirs for good. Raises NotAdmitted, Damaged."""
    person = hashlib.sha256(identity.encode()).hexdigest()[:12]
    try:
        name = clean(name)
    except NotAdmitted:
        name = clean(address[:LONGEST_NAME] or "Somebody")
    manages = bool(address) and address.casefold() in map(str.casefold, settings.read(workspace).people.managers)
    with lock(_folder(workspace) / "lock"):
        known = _known(workspace, person)
        if known is None:
            taken = {_folded(one.name) for one in everybody(workspace).values()}
            free = next(one for one in _numbered(name) if _folded(one) not in taken)
            known = Known(name=free, created=time.time(), back="")
        if manages and known.role != "manage":
            known.role = "manage"
        _write(workspace, person, known)
    return _person(workspace, person, known)


def find(workspace: Workspace, person: str) -> Person | None:
    """The person of this id, with the role that they have now."""
    known = _known(workspace, person)
    return _person(workspace, person, known) if known else None


def by_token(workspace: Workspace, token: str) -> Person | None:
    """Whose browser keeps this."""
    person, _, secret = token.partition(".")
    known = _known(workspace, person)
    since = known.browsers.get(_hash(secret)) if known else None
    if known is None or since is None or time.time() - since > KEPT_SECONDS:
        return None
    return _person(workspace, person, known)


def forget(workspace: Workspace, token: str) -> None:
    """Signs the browser out that keeps this."""
    person, _, secret = token.partition(".")
    _change(workspace, person, lambda known: known.browsers.pop(_hash(secret), None))


def back(workspace: Workspace, person: str) -> str:
    """The code with which they are known again in another browser."""
    known = _known(workspace, person)
    return known.back if known else ""


def set_role(workspace: Workspace, person: str, role: Role | None) -> None:
    """Gives a person a role; None: that of the settings."""
    _change(workspace, person, lambda known: setattr(known, "role", role))


def everybody(workspace: Workspace) -> dict[str, Known]:
    """All people by id, the first to come first. One whose file is damaged is left out."""
    folder = workspace.root / "people"
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    found = {name: known for name in names if (known := _known(workspace, name))}
    return dict(sorted(found.items(), key=lambda item: item[1].created))


def own(workspace: Workspace, person: Person) -> Path:
    """Where what belongs to this person alone is kept: the workspace itself for whoever works on the machine."""
    return workspace.root / "people" / person.id if person.id else workspace.root


def _folder(workspace: Workspace) -> Path:
    folder = workspace.ensure().root / "people"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _known(workspace: Workspace, person: str) -> Known | None:
    if not _ID.fullmatch(person):
        return None
    try:
        return Known.model_validate(read_json(workspace.root / "people" / person / "person.json"))
    except (FileNotFoundError, Damaged, ValidationError):
        return None


def _write(workspace: Workspace, person: str, known: Known) -> None:
    folder = _folder(workspace) / person
    folder.mkdir(exist_ok=True)
    write_json(folder / "person.json", known.model_dump())


def _change(workspace: Workspace, person: str, change: Callable[[Known], Any]) -> None:
    with lock(_folder(workspace) / "lock"):
        if known := _known(workspace, person):
            change(known)
            _write(workspace, person, known)


def _welcome(workspace: Workspace, person: str, known: Known) -> Admitted:
    secret = secrets.token_urlsafe(32)
    newest = sorted(known.browsers.items(), key=lambda item: item[1])[1 - MOST_BROWSERS :]
    known.browsers = {**dict(newest), _hash(secret): time.time()}
    _write(workspace, person, known)
    return Admitted(_person(workspace, person, known), f"{person}.{secret}")


def _person(workspace: Workspace, person: str, known: Known) -> Person:
    try:
        usual = settings.read(workspace).people.role
    except Damaged:
        usual = "look"
    return Person(person, known.name, known.role or usual)


def _numbered(name: str) -> Any:
    yield name
    yield from (f"{name} ({number})" for number in range(2, MOST_PEOPLE + 2))


def _code(letters: int) -> str:
    code = "".join(secrets.choice(_LETTERS) for _ in range(letters))
    return "-".join(code[place : place + 4] for place in range(0, letters, 4))


def _typed(code: str) -> str:
    """A code without what people add or leave out as they type it."""
    return re.sub(r"[\s-]", "", code[:200]).upper()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(_hash(_typed(given)), _hash(_typed(right))) and bool(_typed(right))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
