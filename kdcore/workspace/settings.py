"""What a person has set for this workspace, in `settings.json`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, ValidationError

from kdcore import registry
from kdcore.files import Damaged, read_json, write_json
from kdcore.workspace import access
from kdcore.workspace.access import Role
from kdcore.registry import Options
from kdcore.workspace.workspace import Workspace

MOST_SLOTS = 64


def _web(address: str | None) -> str | None:
    if address is None:
        return None
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or not address.isprintable() or " " in address:
        raise ValueError("must begin with http:// or https:// and name a host")
    return address


LauncherChoice = Annotated[SerializeAsAny[Options], BeforeValidator(partial(registry.validate, "launcher"))]
Address = Annotated[str | None, AfterValidator(_web)]


class People(BaseModel):
    """What each person of a class may do and use; None is no limit.

    `role`: of whoever signs in. `queued`: runs of theirs that wait or work. `hours`: of their runs in the last 24.
    `gigabytes`: of their runs, uploads and the models that only they use. `managers`: e-mail addresses that sign in
    with OIDC and manage.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    role: Role = "launch"
    queued: Annotated[int, Field(ge=1, le=1000)] | None = 3
    hours: Annotated[float, Field(gt=0, le=24 * MOST_SLOTS)] | None = 2.0
    gigabytes: Annotated[float, Field(gt=0, le=10**6)] | None = 2.0
    managers: tuple[str, ...] = ()


class Settings(BaseModel):
    """`webhook`: the address notified when a run ends; it may hold a secret. `dashboard`: where links lead to.

    `slots`: how many workers run at a time; None: as the launcher has it. `launcher`: where workers run.
    `people`: of a class, see `serve --class`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    webhook: Address = None
    dashboard: Address = None
    slots: Annotated[int, Field(ge=1, le=MOST_SLOTS)] | None = None
    people: People = People()
    launcher: LauncherChoice = Field({"launcher": "local"}, validate_default=True)

    @property
    def host(self) -> str:
        """The part of the webhook's address that holds no secret."""
        return (self.webhook and urlsplit(self.webhook).hostname) or ""


def read(workspace: Workspace) -> Settings:
    """The settings; those of a new workspace where there are none. Raises Damaged."""
    path = workspace.root / "settings.json"
    try:
        return Settings.model_validate(read_json(path, {}))
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        raise Damaged(path, f"is invalid: {'.'.join(map(str, wrong['loc']))} {wrong['msg']}") from None


def write(workspace: Workspace, **changed: Any) -> None:
    """Changes some settings; the file is its owner's alone. Raises ValidationError, a ValueError, and Refused."""
    access.require(access.to_manage())
    try:
        known = read(workspace)
    except Damaged:
        known = Settings()
    path = workspace.ensure().root / "settings.json"
    write_json(path, Settings.model_validate(known.model_dump() | changed).model_dump())
    path.chmod(0o600)
