"""The command `app`: the dashboard."""

from __future__ import annotations

import argparse
import runpy
import sys

from kdcore.cli.command import Add
from kdcore.paths import dashboard
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds the command and its options to the command line."""
    app = command("app", open_dashboard, "open the dashboard in a browser")
    app.add_argument("--port", type=int, default=8501)
    app.add_argument(
        "--address", default="127.0.0.1", help="address to listen on; anyone who can reach it can start and delete runs"
    )


def open_dashboard(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Serves the dashboard until it is interrupted."""
    print(f"The dashboard is at http://{chosen.address}:{chosen.port}; Ctrl-C stops it, runs continue.")
    sys.argv = ["streamlit", "run", str(dashboard())]
    sys.argv += [f"--server.address={chosen.address}", f"--server.port={chosen.port}"]
    if chosen.address != "127.0.0.1":
        sys.argv += [f"--server.allowedHosts={chosen.address}", f"--browser.serverAddress={chosen.address}"]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
