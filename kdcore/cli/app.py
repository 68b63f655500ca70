"""The commands `app` and `serve`: the dashboard, for one person and for several."""

from __future__ import annotations

import argparse
import os
import runpy
import sys

from kdcore.cli.command import Add, BadInput
from kdcore.paths import dashboard
from kdcore.workspace import people
from kdcore.workspace.workspace import Workspace


def add(command: Add) -> None:
    """Adds the commands and their options to the command line."""
    app = command("app", open_dashboard, "open the dashboard in a browser")
    app.add_argument("--port", type=int, default=8501)
    app.add_argument(
        "--address", default="127.0.0.1", help="address to listen on; anyone who can reach it can start and delete runs"
    )
    served = command("serve", serve, "serve the dashboard to several people")
    served.add_argument("--port", type=int, default=8501)
    served.add_argument("--address", default="127.0.0.1", help="address to listen on, such as 0.0.0.0 for all")
    served.add_argument(
        "--host", action="append", default=[], metavar="NAME",
        help="host name or address that browsers use for the server, or for its proxy; may be repeated",
    )  # fmt: skip
    kinds = served.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--class", dest="kind", action="store_const", const="class", help="people sign in")
    kinds.add_argument(
        "--demo", dest="kind", action="store_const", const="demo", help="everybody looks, and changes nothing"
    )


def open_dashboard(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Serves the dashboard until it is interrupted."""
    print(f"The dashboard is at http://{chosen.address}:{chosen.port}; Ctrl-C stops it, runs continue.")
    more = []
    if chosen.address != "127.0.0.1":
        more = [f"--server.allowedHosts={chosen.address}", f"--browser.serverAddress={chosen.address}"]
    _streamlit(chosen, more)


def serve(chosen: argparse.Namespace, workspace: Workspace) -> None:
    """Serves the dashboard to a class or as a demonstration until it is interrupted. Raises BadInput, Damaged."""
    anywhere = chosen.address in ("0.0.0.0", "::")
    hosts = [*chosen.host, "127.0.0.1", "localhost"] + ([] if anywhere else [chosen.address])
    if anywhere and not chosen.host:
        raise BadInput("--host is required: give the host name that browsers use, such as --host lab.example.org")
    codes = people.codes(workspace)
    print(f"The dashboard is at http://{hosts[0]}:{chosen.port}; Ctrl-C stops it, runs continue.")
    print(f"Class code: {codes.code}" if chosen.kind == "class" else "Everybody may look; nothing can be changed.")
    print(f"Lecturers' code: {codes.manage}  (both in {workspace.root / 'people' / 'codes.json'})", flush=True)
    os.environ["KDCORE_SERVES"] = chosen.kind
    more = [f"--server.allowedHosts={host}" for host in dict.fromkeys(hosts)]
    _streamlit(chosen, [*more, "--server.headless=true", f"--browser.serverAddress={hosts[0]}"])


def _streamlit(chosen: argparse.Namespace, more: list[str]) -> None:
    sys.argv = ["streamlit", "run", str(dashboard())]
    sys.argv += [f"--server.address={chosen.address}", f"--server.port={chosen.port}", *more]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
