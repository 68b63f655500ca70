"""Takes the pictures of the README's tour: every page, light and dark, over a workspace in which the presets ran.

python docs/screenshots.py                  runs the presets first (some minutes)
python docs/screenshots.py --home FOLDER    uses a workspace that is there
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from PIL import Image  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from kdcore.jobs import api  # noqa: E402
from kdcore.jobs.follow import follow  # noqa: E402
from kdcore.presets import presets  # noqa: E402
from kdcore.workspace.index import Index  # noqa: E402
from kdcore.workspace.workspace import Workspace  # noqa: E402

FOLDER = CHECKOUT / "docs" / "screenshots"
WIDTH, TALLEST = 1280, 1500
PATIENCE = 180_000  # ms for a page, on a machine that may be busy
# Each page: the picture's name, the path with the quickstart's id, and a text that is there when it is drawn.
PAGES = (
    ("home", "", "About"),
    ("lessons", "lessons", "Why soft targets"),
    ("new", "new", "fewer MACs"),
    ("runs", "runs?run={run}", "Validation accuracy: "),
    ("compare", "compare?runs={run}", "smaller than the teacher"),
    ("soft-targets", "soft_targets?run={run}&image=5&T=5.6", "Most confused at"),
    ("try-it", "try_it?run={run}&input=test", "What the networks see"),
    ("trust", "trust?run={run}&part=fidelity", "Most common error of"),
    ("layers", "layers?run={run}&variant=int8&variant_b=student+distilled", "All layers"),
    ("reference", "reference", "When to choose it"),
    ("system", "system", "Versions"),
)
SETTLED = """() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-testid=stSkeleton]')"""
HEIGHT = """() => Math.max(...[...document.querySelectorAll('[data-testid=stMainBlockContainer] *')]
    .map(element => element.getBoundingClientRect().bottom))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a workspace in which the quickstart has run")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Workspace(chosen.home or Path(temporary) / "workspace")
        if not chosen.home:
            fill(workspace)
        run = quickstart(workspace)
        with dashboard(workspace) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": WIDTH, "height": TALLEST}, color_scheme=scheme)
                for name, path, text in PAGES:
                    take(page, f"{address}/{path.format(run=run)}", text, FOLDER / f"{name}-{scheme}.png")


def fill(workspace: Workspace) -> None:
    """Runs every preset that any machine can run, the quickstart last, so that it is the newest."""
    for preset in reversed([known for known in presets() if not known.wants]):
        print(f"running {preset.title}")
        *_, row = follow(workspace, api.submit(workspace, preset.recipe, preset.name))
        if row.state != "done":
            sys.exit(f"{preset.title}: {row.state}, {row.error}")
    api.stop_all(workspace)


def quickstart(workspace: Workspace) -> str:
    """The newest finished quickstart's id."""
    index = Index(workspace)
    index.sync()
    found = [row.id for row in index.runs() if row.preset == "quickstart" and row.state == "done"]
    if not found:
        sys.exit(f"no quickstart has been finished in {workspace.root}")
    return found[0]


@contextmanager
def dashboard(workspace: Workspace) -> Iterator[str]:
    """The address of a dashboard that serves this workspace."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"]
    environment, silent = os.environ | {"KDCORE_HOME": str(workspace.root)}, subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=silent, stderr=silent)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def take(page: Page, address: str, text: str, path: Path) -> None:
    """One picture, cut off below the page's content."""
    page.goto(address, timeout=PATIENCE)
    page.get_by_text(text).filter(visible=True).first.wait_for(timeout=PATIENCE)
    page.wait_for_function(SETTLED, timeout=PATIENCE)
    page.wait_for_timeout(2500)  # charts are drawn after the script has ended
    height = min(TALLEST, int(page.evaluate(HEIGHT)) + 32)
    picture = Image.open(io.BytesIO(page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": height})))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path, optimize=True)
    print(path.relative_to(CHECKOUT), f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
