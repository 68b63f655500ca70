"""A webhook is notified when a run has ended, whatever its outcome."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kdcore.files import write_json
from kdcore.jobs import api, webhook
from kdcore.jobs.dispatcher import MOST_ATTEMPTS, dispatch
from kdcore.workspace import settings
from kdcore.workspace.index import Index
from tests.jobs.conftest import until
from tests.small import small

SECRET = "T0K3N"


class Listener:
    """A server on this machine that keeps what it is told, and answers with `status`."""

    def __init__(self):
        self.heard, self.status, listener = [], 200, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                listener.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(listener.status)
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *arguments):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()


def given_up(workspace, name="Ours"):
    """A run whose worker has crashed as often as it may; the dispatcher ends it without another."""
    run_id = api.submit(workspace, small(f"name={name}"))
    status = {"turn": 0, "attempt": MOST_ATTEMPTS, "process": 2**30, "host": "elsewhere", "started": time.time()}
    status["turn"] = json.loads((workspace.run(run_id) / "meta.json").read_text())["turn"]
    write_json(workspace.run(run_id) / "status.json", status)
    return run_id


def test_the_end_of_a_run_is_told(workspace, listener):
    settings.write(workspace, webhook=listener.address, dashboard="http://127.0.0.1:8501")
    run_id = given_up(workspace)
    dispatch(workspace, idle_seconds=0.1)
    (message,) = until(lambda: listener.heard)
    assert (message["run"], message["name"], message["state"]) == (run_id, "Ours", "failed")
    assert "crashed" in message["headline"]
    assert message["url"] == f"http://127.0.0.1:8501/runs?run={run_id}"
    (sent,) = until(lambda: webhook.latest(workspace))
    assert (sent.name, sent.problem) == ("Ours", "")


@pytest.mark.parametrize("status", [302, 500])
def test_what_does_not_arrive_is_noted_without_the_secret_and_the_run_is_as_it_was(workspace, listener, status):
    listener.status = status
    settings.write(workspace, webhook=listener.address)
    run_id = given_up(workspace)
    dispatch(workspace, idle_seconds=0.1)
    (sent,) = until(lambda: webhook.latest(workspace))
    assert str(status) in sent.problem
    assert len(listener.heard) == 1, "a redirect is not followed"
    assert Index(workspace).run(run_id).state == "failed"
    listener.server.server_close()
    webhook.tell(workspace, run_id)
    newest, *_ = webhook.latest(workspace)
    assert newest.problem
    assert SECRET not in (workspace.cache / "webhook.json").read_text()


def test_settings_that_cannot_be_read_are_noted_and_raise_nothing(workspace):
    (workspace.root / "settings.json").write_text(f'{{"webhook": "{SECRET}"}}')
    webhook.tell(workspace, "260101-000000-abcdef")
    (sent,) = webhook.latest(workspace)
    assert sent.problem
    assert SECRET not in (workspace.cache / "webhook.json").read_text()


def test_nothing_is_sent_where_nobody_asked(workspace):
    webhook.tell(workspace, given_up(workspace))
    assert webhook.latest(workspace) == []


@pytest.mark.parametrize(
    "address", ["ftp://host/x", "file:///etc/passwd", "host/x", "http://", "http://a b", "https:/x"]
)
def test_only_addresses_of_the_web_are_taken(workspace, address):
    with pytest.raises(ValueError, match="webhook"):
        settings.write(workspace, webhook=address)
    assert not (workspace.root / "settings.json").exists()


def test_the_settings_are_their_owners_alone(workspace):
    settings.write(workspace, webhook="https://example.org/T0K3N")
    assert (workspace.root / "settings.json").stat().st_mode & 0o077 == 0
    settings.write(workspace, webhook=None)
    assert not settings.read(workspace).webhook
