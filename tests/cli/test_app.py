"""`app` opens the dashboard from any folder."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from kdcore.cli import main
from kdcore.paths import CHECKOUT

START_SECONDS = 60


def answer(url):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.read().decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_the_dashboard_answers_on_the_loopback_with_our_settings(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "STREAMLIT_SERVER_HEADLESS": "true"}
    command = [sys.executable, "-m", "kdcore", "app", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert answer(f"http://127.0.0.1:{port}/_stcore/health") == "ok"
        finally:
            process.terminate()
            printed = process.communicate(timeout=20)[0]
    assert f"http://127.0.0.1:{port}" in printed
    assert "You can now view" not in printed  # .streamlit/config.toml silences it


@pytest.mark.parametrize(
    "arguments", [[], ["--class", "--demo"], ["--class", "--address", "0.0.0.0"], ["--class", "--port", "x"]]
)
def test_serving_to_everybody_needs_to_know_to_whom_and_under_which_name(arguments, capsys):
    try:
        code = main.main(["serve", *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "--" in capsys.readouterr().err
