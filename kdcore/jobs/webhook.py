"""Tells another program that a run has ended: a POST to the address in the workspace's settings."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from kdcore.files import Damaged, lock, read_json, write_json
from kdcore.workspace import settings
from kdcore.workspace.index import Index, RunRow
from kdcore.workspace.settings import Settings
from kdcore.workspace.state import SETTLED
from kdcore.workspace.workspace import Workspace

TIMEOUT_SECONDS = 5.0
KEPT = 20  # of the latest messages, in cache/webhook.json


class Sent(NamedTuple):
    """A message: about what, when (Unix seconds), and why it did not arrive; empty where it did."""

    name: str
    at: float
    problem: str


def tell(workspace: Workspace, run_id: str) -> None:
    """Sends the message about a run that has ended, where somebody wants it. It never raises: the run is over."""
    try:
        known = settings.read(workspace)
        if not known.webhook:
            return
        index = Index(workspace)
        index.sync(run_id)
        row = index.run(run_id)
        if row and row.state in SETTLED:
            _keep(workspace, Sent(row.name, time.time(), _post(known, _message(row, known))))
    except Exception as problem:
        _keep(workspace, Sent(run_id, time.time(), f"{type(problem).__name__} in kdcore"))


def send_test(workspace: Workspace) -> Sent:
    """Sends a message of the same form that is about no run."""
    known = settings.read(workspace)
    message = {"run": None, "name": "Test", "state": "done", "headline": "", "url": known.dashboard}
    sent = Sent("Test", time.time(), _post(known, message | {"text": "kdcore: this is a test"}))
    _keep(workspace, sent)
    return sent


def latest(workspace: Workspace) -> list[Sent]:
    """The messages that were sent, the newest first."""
    try:
        return [Sent(one["name"], one["at"], one["problem"]) for one in read_json(_log(workspace))["sent"]]
    except (Damaged, FileNotFoundError, KeyError, TypeError):
        return []


def _message(row: RunRow, known: Settings) -> dict[str, Any]:
    """`text` is what Slack, Mattermost and the like show."""
    from kdcore.report.headline import headline

    said = headline(row)
    url = f"{known.dashboard}/runs?{urlencode({'run': row.id})}" if known.dashboard else None
    text = f"{row.name}: {row.condition}{f'. {said}' if said else ''}"
    return {"run": row.id, "name": row.name, "state": row.condition, "headline": said, "url": url, "text": text}


class _Stay(HTTPRedirectHandler):
    """A redirect would take the message, as a GET without it, to an address that nobody has set."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _post(known: Settings, message: dict[str, Any]) -> str:
    """Why the message did not arrive, in words without the address, which may hold a secret; empty where it did."""
    try:
        request = Request(
            known.webhook or "",
            json.dumps(message).encode(),
            {"Content-Type": "application/json", "User-Agent": "kdcore"},
        )
        with build_opener(_Stay).open(request, timeout=TIMEOUT_SECONDS):
            return ""
    except HTTPError as error:
        return f"the server answered {error.code}"
    except URLError as error:
        return str(getattr(error.reason, "strerror", None) or error.reason)
    except (OSError, ValueError) as error:
        return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__


def _log(workspace: Workspace) -> Any:
    return workspace.cache / "webhook.json"


def _keep(workspace: Workspace, sent: Sent) -> None:
    workspace.ensure()
    with lock(workspace.cache / "webhook.lock"):
        newest = [sent, *latest(workspace)][:KEPT]
        write_json(_log(workspace), {"sent": [one._asdict() for one in newest]})
